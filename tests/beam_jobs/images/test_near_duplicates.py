import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from beam_jobs.images.near_duplicates import (
    hash_thumbnails,
    near_duplicates,
    thumbnail,
)


def perceptual_hash(image):
    return hash_of(thumbnail(image))


def hash_of(small):
    return int(hash_thumbnails([small.tobytes()])[0])


def scene(seed: int, size=(320, 240)) -> Image.Image:
    """Coloured ellipses and boxes."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(random.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = random.random(2) * size
        w, h = random.random(2) * size / 2
        paint = draw.ellipse if random.random() < 0.5 else draw.rectangle
        colour = tuple(random.integers(0, 256, 3).tolist())
        paint((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=colour)
    return image


def recompressed(image, quality) -> Image.Image:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue()))


def distance(one: Image.Image, other: Image.Image) -> int:
    return (perceptual_hash(one) ^ perceptual_hash(other)).bit_count()


@pytest.mark.parametrize(
    "change",
    [
        lambda image: recompressed(image, 50),
        lambda image: recompressed(image.convert("L"), 90),
        lambda image: image.resize((160, 120)),
        lambda image: image.resize((640, 480)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
        lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    ],
)
def test_hash_hardly_changes_with_the_file(change):
    for seed in range(8):
        assert distance(scene(seed), change(scene(seed))) <= 6


def test_hash_tells_pictures_apart():
    scenes = [scene(seed) for seed in range(40)]
    for i, one in enumerate(scenes):
        assert all(distance(one, other) > 6 for other in scenes[:i])


def test_hash_of_a_flat_picture_is_zero():
    for colour in ("black", "gray", "white", "red"):
        assert perceptual_hash(Image.new("RGB", (50, 70), colour)) == 0
    assert perceptual_hash(Image.new("L", (500, 700), 3)) == 0


def test_hash_of_a_flat_picture_withstands_noise():
    noise = np.random.default_rng(0).normal(128, 1, (400, 300, 3))
    image = Image.fromarray(np.rint(noise).astype(np.uint8))
    assert perceptual_hash(image).bit_count() <= 6
    assert perceptual_hash(recompressed(image, 75)).bit_count() <= 6


def test_hash_is_pinned():
    # A change here would move images between splits of existing data sets.
    ramp = np.add.outer(np.arange(64) % 48, 3 * np.arange(64)).astype(np.uint8)
    assert perceptual_hash(Image.fromarray(ramp)) == 0x400080000080000


def test_hash_fills_64_bits():
    hashes = np.array([perceptual_hash(scene(s)) for s in range(60)], np.uint64)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1)
    shares = bits.mean(axis=0)
    assert 0.1 < shares.min() and shares.max() < 0.9


def test_images_have_the_same_hash_together_and_alone():
    images = [
        scene(seed).convert("L" if seed % 3 else "RGB") for seed in range(7)
    ]
    small = [thumbnail(image).tobytes() for image in images]
    together = hash_thumbnails(small).tolist()
    assert together == [perceptual_hash(image) for image in images]
    assert not len(hash_thumbnails([]))


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_turned_thumbnail_is_that_of_the_turned_picture(turn):
    image = scene(0, (256, 192))
    turned = hash_of(thumbnail(image).transpose(turn))
    expected = perceptual_hash(image.transpose(turn))
    assert (turned ^ expected).bit_count() <= 2


@pytest.mark.parametrize("size", [(1, 1), (8, 2000), (33, 31), (129, 64)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_any_size_has_a_thumbnail(size, mode):
    small = thumbnail(scene(0, size).convert(mode))
    assert (small.size, small.mode) == ((32, 32), mode)


def pairs(hashes, candidates, max_distance) -> list[tuple[int, int]]:
    hashes = np.array(hashes, np.uint64)
    found = near_duplicates(hashes, np.array(candidates, bool), max_distance)
    return list(zip(*(side.tolist() for side in found), strict=True))


def test_finds_pairs_of_a_candidate_and_another():
    hashes = [0, 0b1111, 0b11111, 2**63, 0]
    assert pairs(hashes, [1, 0, 0, 0, 0], 4) == [(0, 1), (0, 3), (0, 4)]
    assert pairs(hashes, [1, 0, 0, 0, 1], 0) == [(0, 4), (4, 0)]
    assert pairs(hashes, [0, 0, 0, 0, 0], 4) == []
    assert pairs([], [], 4) == []


def test_refuses_distances_that_it_does_not_cover():
    for max_distance in (-1, 12):
        with pytest.raises(ValueError, match="max_distance"):
            pairs([0], [1], max_distance)


@pytest.mark.parametrize("max_distance", range(12))
def test_equals_brute_force(max_distance):
    random = np.random.default_rng(max_distance)
    hashes = random.integers(0, 2**64, 40, dtype=np.uint64)
    hashes = np.tile(hashes, 15)
    # Up to 13 bits of each flipped, in one place or all over.
    often = random.choice([0, 0.1, 0.3, 0.6], len(hashes))
    width = random.choice([16, 64], len(hashes))
    for _ in range(13):
        place = random.integers(0, width).astype(np.uint64)
        flip = random.random(len(hashes)) < often
        hashes = np.where(flip, hashes ^ (np.uint64(1) << place), hashes)
    candidates = random.random(len(hashes)) < 0.3
    bits = np.unpackbits(hashes.view(np.uint8).reshape(-1, 8), axis=1)
    near = (bits[:, None] != bits[None]).sum(axis=2) <= max_distance
    np.fill_diagonal(near, False)
    left, right = np.nonzero(near & candidates[:, None])
    found = near_duplicates(hashes, candidates, max_distance)
    assert found[0].tolist() == left.tolist()
    assert found[1].tolist() == right.tolist()
    assert len(left) > 0


def test_cuts_long_work_into_parts(monkeypatch):
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 500, dtype=np.uint64)
    hashes[100:] = hashes[:400] ^ np.uint64(3)
    candidates = random.random(500) < 0.5
    whole = near_duplicates(hashes, candidates, 6)
    monkeypatch.setattr("beam_jobs.images.near_duplicates._PART", 7)
    parts = near_duplicates(hashes, candidates, 6)
    assert whole[0].tolist() == parts[0].tolist()
    assert whole[1].tolist() == parts[1].tolist()
