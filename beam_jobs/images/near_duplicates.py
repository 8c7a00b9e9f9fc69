"""Near-duplicate images: perceptual hashes and the search among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from beam_jobs.images.options import MAX_DISTANCE

_SIDE = 32
_GRID = 128
_NUM_BANDS = 4
_BAND_BITS = 16
_BAND_MASK = np.uint64(0xFFFF)
# Values compared at a time: a few megabytes.
_PART = 1 << 18


def _cosines() -> np.ndarray:
    """DCT-II rows of the 12 lowest frequencies, rounded.

    Whole numbers keep every sum below 2**53, so exact, so the same whatever
    the order in which a machine adds.
    """
    angles = np.outer(np.arange(12), 2 * np.arange(_SIDE) + 1)
    return np.rint(1024 * np.cos(np.pi * angles / (2 * _SIDE)))


def _lowest_frequencies() -> np.ndarray:
    """Flat places of the 64 lowest frequencies of a 12x12 block, less DC."""
    rows, columns = np.indices((12, 12)).reshape(2, -1)
    return np.lexsort((columns, rows + columns))[1:65]


_ROWS = _cosines()
# By number of channels; those of a colour image are weighed on the way, as
# in ITU-R 601: 77, 150 and 29 parts of 256.
_COLUMNS = {
    1: np.kron(_ROWS.T, [[256.0]]),
    3: np.kron(_ROWS.T, [[77.0], [150.0], [29.0]]),
}
_LOWEST = _lowest_frequencies()
# A wave of 1/32 gray level. Weaker ones are noise of the compression; where a
# flat or symmetric image has nothing else, their signs would be random.
_LEAST = 8.0 * 1024 * 1024 * 256


def thumbnail(image: Image.Image) -> Image.Image:
    """Returns the image at 32x32, in its own mode.

    Pixels are sampled on a grid of at most 128x128, then averaged: the mean
    of all pixels tells images apart no better and takes four times as long.
    """
    width, height = (
        _SIDE * min(_GRID // _SIDE, -(-side // _SIDE)) for side in image.size
    )
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.NEAREST)
    if (width, height) != (_SIDE, _SIDE):
        image = image.reduce((width // _SIDE, height // _SIDE))
    return image


def hash_thumbnails(small: Sequence[bytes]) -> np.ndarray:
    """Returns 64 bits an image, that similar images nearly share.

    The signs of the 64 lowest frequencies of a cosine transform of the image
    at 32x32 (pHash: Zauner, "Implementation and benchmarking of perceptual
    image hash functions", 2010; there by median). A flat image has hash 0.

    Within 6 bits are 98 % of the copies that are recompressed (quality 50 to
    95), resized (50 to 200 %), cropped (2 to 4 %), made 10 % brighter or
    darker, or gray, and one pair of the 288 million of 24,000 small ImageNet
    images, which are one image.

    Args:
        small: pixels of the `thumbnail`s of upright images, RGB or L.

    Returns: uint64 [images].
    """
    hashes = np.zeros(len(small), np.uint64)
    sizes = np.array([len(pixels) for pixels in small], np.int64)
    for channels, columns in _COLUMNS.items():
        # All at once: alone, an image costs ten times as much in calls.
        alike = np.flatnonzero(sizes == channels * _SIDE * _SIDE)
        if not len(alike):
            continue
        joined = b"".join([small[i] for i in alike])
        rows = np.frombuffer(joined, np.uint8).reshape(-1, channels * _SIDE)
        waves = (rows.astype(np.float64) @ columns).reshape(-1, _SIDE, 12)
        lowest = (_ROWS @ waves).reshape(len(alike), -1)[:, _LOWEST]
        hashes[alike] = np.packbits(lowest > _LEAST).view(">u8")
    return hashes


def near_duplicates(
    hashes: np.ndarray, candidates: np.ndarray, max_distance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds all pairs of a candidate and another hash that are near.

    Multi-index hashing (Norouzi et al., "Fast search in Hamming space with
    multi-index hashing", 2012): of hashes that differ in at most d bits, one
    of four 16-bit bands differs in at most d // 4. Candidates are kept under
    every band value that near their own; all hashes are looked up there, a
    part at a time, so that memory does not grow with their number.

    Time and memory grow with the number of pairs; make equal hashes one
    before where many are expected.

    Args:
        hashes: uint64 [n].
        candidates: bool [n].
        max_distance: bits, 0 to `MAX_DISTANCE`.

    Returns:
        int64 [pairs] each: index of the candidate, index of the other. A pair
        of two candidates is there in both orders. Sorted.
    """
    if not 0 <= max_distance <= MAX_DISTANCE:
        raise ValueError(
            f"max_distance must be 0 to {MAX_DISTANCE}: {max_distance}"
        )
    places = np.flatnonzero(candidates)
    found = [
        pair
        for band in range(_NUM_BANDS)
        for pair in _search_band(hashes, places, band, max_distance)
    ]
    left = np.concatenate([pair[0] for pair in found] or [places[:0]])
    right = np.concatenate([pair[1] for pair in found] or [places[:0]])
    order = np.lexsort((right, left))
    return left[order], right[order]


def _search_band(
    hashes: np.ndarray, places: np.ndarray, band: int, max_distance: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    radius = max_distance // _NUM_BANDS
    starts, members = _index(_band(hashes[places], band), radius)
    for first, last, keys, counts in _parts(hashes, band, starts):
        ends = np.cumsum(counts)
        query = np.repeat(np.arange(first, last), counts)
        shift = np.repeat(starts[keys] - (ends - counts), counts)
        left = places[members[np.arange(len(query)) + shift]]
        difference = hashes[left] ^ hashes[query]
        near = _popcount(difference) <= max_distance
        near &= left != query
        left, query, difference = left[near], query[near], difference[near]
        # A pair that an earlier band has found is not found again.
        new = np.ones(len(left), bool)
        for earlier in range(band):
            new &= _popcount(_band(difference, earlier)) > radius
        yield left[new], query[new]


def _index(keys: np.ndarray, radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists the places of keys under all values within the radius.

    Returns:
        int64 [65537], int32 [...]: the places of value v are
        `members[starts[v]:starts[v + 1]]`.
    """
    values = np.arange(1 << _BAND_BITS, dtype=np.uint64)
    masks = values[_popcount(values) <= radius]
    spread = (keys[:, None] ^ masks).astype(np.uint16).ravel()
    members = np.argsort(spread, kind="stable") // len(masks)
    counts = np.bincount(spread, minlength=1 << _BAND_BITS)
    return np.concatenate([[0], np.cumsum(counts)]), members.astype(np.int32)


def _parts(
    hashes: np.ndarray, band: int, starts: np.ndarray
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Cuts the hashes into parts of about `_PART` comparisons."""
    for begin in range(0, len(hashes), _PART):
        keys = _band(hashes[begin : begin + _PART], band).astype(np.int64)
        counts = starts[keys + 1] - starts[keys]
        done = np.cumsum(counts)
        parts = np.arange(_PART, done[-1] + _PART, _PART)
        cuts = np.searchsorted(done, parts - _PART, side="right")
        cuts = np.unique(np.append(cuts, len(keys)))
        for low, high in zip(cuts[:-1], cuts[1:], strict=True):
            part = slice(low, high)
            yield begin + low, begin + high, keys[part], counts[part]


def _band(hashes: np.ndarray, band: int) -> np.ndarray:
    return (hashes >> np.uint64(band * _BAND_BITS)) & _BAND_MASK


def _popcount(values: np.ndarray) -> np.ndarray:
    """Number of set bits of uint64 values."""
    if hasattr(np, "bitwise_count"):  # from NumPy 2 on
        return np.bitwise_count(values)
    pairs, fours, bytes_ = (
        np.uint64(mask)
        for mask in (
            0x5555555555555555,
            0x3333333333333333,
            0x0F0F0F0F0F0F0F0F,
        )
    )
    values = values - ((values >> np.uint64(1)) & pairs)
    values = (values & fours) + ((values >> np.uint64(2)) & fours)
    values = (values + (values >> np.uint64(4))) & bytes_
    return (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
