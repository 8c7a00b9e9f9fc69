"""Which classes come with which: counts of predictions -> pairs.

CO(i, j) = n_ij / n_i, where n_i images are predicted to have class i and n_ij
to have i and j (paper, section 2.3). A pair (i, j) is strong if CO(i, j) is
over 0.5 and no is-a path links the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.cooccurrence.options import Reading
from beam_jobs.errors import InputError
from beam_jobs.labels.pairs import _DTYPES, Pairs

# Pairs of classes that are expanded, and kept unsorted, at a time: 32 MiB.
_PAIRS_AT_ONCE = 1 << 22


class Counts:
    """How many images have a class (n_i), and two of them (n_ij).

    Counts of parts of the images can be merged; their order does not matter.

    Args:
        classes: size of the vocabulary.

    Attributes:
        n_i: int64 [classes].

    Example:
        >>> counts = Counts(3)
        >>> counts.add(np.array([0, 2, 3]), np.array([0, 2, 2]))
        >>> counts.n_i.tolist(), counts.n_ij(0, 2)
        ([1, 0, 2], 1)
    """

    def __init__(self, classes: int):
        self.n_i = np.zeros(classes, np.int64)
        # Sorted keys, low class * classes + high class, and their counts.
        self._keys = np.zeros(0, np.int64)
        self._counts = np.zeros(0, np.int64)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    @property
    def classes(self) -> int:
        """Size of the vocabulary."""
        return len(self.n_i)

    def add(self, row_splits: np.ndarray, ids: np.ndarray) -> None:
        """Counts images.

        Args:
            row_splits: int64 [images + 1].
            ids: integers, the classes that each image has; a class that is
                named twice counts once.

        Raises:
            InputError: a class out of range.
        """
        row_splits, ids = _sort_rows(row_splits, ids, self.classes)
        self.n_i += np.bincount(ids, minlength=self.classes)
        for begin, end in _chunks(row_splits):
            splits = row_splits[begin : end + 1]
            low, high = _pair_up(
                splits - splits[0], ids[splits[0] : splits[-1]]
            )
            keys, counts = np.unique(
                low * self.classes + high, return_counts=True
            )
            self._wait(keys, counts)

    def merge(self, other: Counts) -> None:
        """Adds the counts of other images.

        Raises:
            InputError: they are of another number of classes.
        """
        if other.classes != self.classes:
            raise InputError(
                f"counts of {other.classes} classes cannot be added to counts "
                f"of {self.classes}; were they made with another vocabulary?"
            )
        self.n_i += other.n_i
        self._wait(other._keys, other._counts)
        for keys, counts in other._waiting:
            self._wait(keys, counts)

    def n_ij(self, i: int, j: int) -> int:
        """Returns how many images have both of two different classes."""
        keys, counts = self._settled()
        key = min(i, j) * self.classes + max(i, j)
        position = int(np.searchsorted(keys, key))
        found = position < len(keys) and keys[position] == key
        return int(counts[position]) if found else 0

    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns low class, high class, n_ij of all pairs ever seen."""
        keys, counts = self._settled()
        low, high = np.divmod(keys, self.classes)
        return low, high, counts

    def to_bytes(self) -> bytes:
        """Returns little-endian int64: classes, n_i, keys, counts."""
        keys, counts = self._settled()
        parts = ([self.classes], self.n_i, keys, counts)
        return np.concatenate(parts).astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Counts:
        """Reads what `to_bytes` gave."""
        values = np.frombuffer(data, "<i8").astype(np.int64)
        counts = cls(int(values[0]))
        counts.n_i += values[1 : counts.classes + 1]
        pairs = values[counts.classes + 1 :]
        counts._keys, counts._counts = np.split(pairs, 2)
        return counts

    def _wait(self, keys: np.ndarray, counts: np.ndarray) -> None:
        # Merged rarely, so that each pair is sorted a few times only.
        self._waiting.append((keys, counts))
        waiting = sum(len(k) for k, _ in self._waiting)
        if waiting > max(_PAIRS_AT_ONCE, len(self._keys)):
            self._settled()

    def _settled(self) -> tuple[np.ndarray, np.ndarray]:
        if self._waiting:
            all_keys, all_counts = zip(
                (self._keys, self._counts), *self._waiting, strict=True
            )
            self._keys, self._counts = _sum_by_key(
                np.concatenate(all_keys), np.concatenate(all_counts)
            )
            self._waiting = []
        return self._keys, self._counts


def find_pairs(
    counts: Counts,
    hierarchy: Hierarchy,
    *,
    min_co: float = 0.5,
    reading: Reading = "unrelated",
    min_images: int = 1,
) -> Pairs:
    """Returns the strong pairs, sorted by source class, then added class.

    Args:
        counts: of predictions over 0.95.
        hierarchy: of the same classes.
        min_co: CO(i, j) must be over it.
        reading: of the paper's "no path from i to j, or the path is
            reversed". `unrelated`: no path in either direction;
            `not_ancestor`: j is no ancestor of i, so that a class may add its
            own descendants.
        min_images: least n_i, for CO of few images says little.

    Raises:
        InputError: an unknown reading, a bound out of range, another number
            of classes.
    """
    _check_bounds(counts, hierarchy, min_co, reading, min_images)
    low, high, both = counts.pairs()
    source, added = np.append(low, high), np.append(high, low)
    n_ij = np.append(both, both)
    n_i = counts.n_i[source]
    co = n_ij / n_i
    strong = np.flatnonzero((co > min_co) & (n_i >= min_images))
    related = _is_ancestor(hierarchy, added[strong], source[strong])
    if reading == "unrelated":
        related |= _is_ancestor(hierarchy, source[strong], added[strong])
    strong = strong[~related]
    kept = strong[np.lexsort((added[strong], source[strong]))]
    columns = (source, added, co, n_i, n_ij)
    return Pairs(
        *(c[kept].astype(d) for c, d in zip(columns, _DTYPES, strict=True))
    )


def _check_bounds(
    counts: Counts,
    hierarchy: Hierarchy,
    min_co: float,
    reading: str,
    min_images: int,
) -> None:
    if len(hierarchy) != counts.classes:
        raise InputError(
            f"the counts are of {counts.classes} classes and the hierarchy of "
            f"{len(hierarchy)}; both must be of one vocabulary"
        )
    if reading not in get_args(Reading):
        raise InputError(
            f"the reading must be one of {get_args(Reading)}; received: "
            f"{reading!r}"
        )
    if not 0 <= min_co < 1 or min_images < 1:
        raise InputError(
            "CO's bound must be 0 to under 1 and the least number of images 1 "
            f"or more; received: {min_co} and {min_images}"
        )


def _is_ancestor(
    hierarchy: Hierarchy, above: np.ndarray, below: np.ndarray
) -> np.ndarray:
    """Returns bool, elementwise: `above` is an ancestor of `below`."""
    related = (
        a in hierarchy.ancestors(b)
        for a, b in zip(above.tolist(), below.tolist(), strict=True)
    )
    return np.fromiter(related, bool, len(above))


def _sort_rows(
    row_splits: np.ndarray, ids: np.ndarray, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sorts and dedupes each row; returns new row splits and int64 ids."""
    rows = len(row_splits) - 1
    if len(ids) and not 0 <= ids.min() <= ids.max() < classes:
        raise InputError(
            f"class indices must be 0 to {classes - 1}; received: "
            f"{ids.min()} to {ids.max()}"
        )
    row = np.repeat(np.arange(rows), np.diff(row_splits))
    row, ids = np.divmod(np.unique(row * classes + ids), classes)
    sizes = np.bincount(row, minlength=rows)
    return np.append(0, np.cumsum(sizes)), ids


def _chunks(row_splits: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields ranges of rows whose pairs fit into memory together."""
    sizes = np.diff(row_splits)
    pairs = np.append(0, np.cumsum(sizes * (sizes - 1) // 2))
    begin = 0
    while begin < len(sizes):
        most = pairs[begin] + _PAIRS_AT_ONCE
        end = int(np.searchsorted(pairs, most, side="right")) - 1
        # A row of its own, however long it is.
        end = max(end, begin + 1)
        yield begin, end
        begin = end


def _pair_up(
    row_splits: np.ndarray, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns all pairs within the sorted rows: low classes, high classes."""
    ends = np.repeat(row_splits[1:], np.diff(row_splits))
    position = np.arange(len(ids))
    later = ends - position - 1
    starts = np.cumsum(later) - later
    step = np.arange(later.sum()) - np.repeat(starts, later)
    return np.repeat(ids, later), ids[np.repeat(position + 1, later) + step]


def _sum_by_key(
    keys: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if not len(keys):
        return keys, counts
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return keys[first], np.add.reduceat(counts, first)
