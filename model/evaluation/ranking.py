"""Which classes score best, and how many of them are labels.

Equal scores rank by class index, lower first, so that a result never depends
on chance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np

from model.evaluation.baselines import AtK, ceiling_at_k, mean_at_k


def best_classes(scores: np.ndarray, k: int, columns: np.ndarray) -> np.ndarray:
    """Returns the k best-scored of some classes, best first.

    Args:
        scores: [images, classes].
        k: at least 1.
        columns: the classes to choose from, ascending.

    Returns:
        int64 [images, min(k, columns)].
    """
    best = np.empty((len(scores), min(k, len(columns))), np.int64)
    _fill_best(np.ascontiguousarray(scores), columns, best)
    return best


@numba.njit(cache=True, nogil=True)
def _fill_best(scores, columns, best):
    # Most of thousands of scores are below the least of the best so far: one
    # comparison each, without a copy of the columns.
    for image in range(len(scores)):
        row, chosen, found = scores[image], best[image], 0
        for column in columns:
            place = min(found, len(chosen) - 1)
            if found == len(chosen) and not row[column] > row[chosen[place]]:
                continue
            while place > 0 and row[column] > row[chosen[place - 1]]:
                chosen[place] = chosen[place - 1]
                place -= 1
            chosen[place] = column
            found = min(found + 1, len(chosen))


def best_of_both(
    scores: np.ndarray, k: int, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Returns the k best-scored among two choices without a common class.

    Args:
        scores: [images, classes].
        k: at least 1.
        one, other: classes [images, chosen], as `best_classes` returns them.
    """
    both = np.concatenate([one, other], axis=1)
    rows = np.arange(len(both))[:, None]
    # Equal ones by class index, as `best_classes` has them.
    order = np.lexsort((both, -scores[rows, both]), axis=-1)
    return both[rows, order[:, :k]]


class HitCounts:
    """Counts images by their hits among the k best classes and by labels.

    Whole numbers, so that the order of the batches changes no digit, and as
    small however many images come.

    Args:
        ks: how many best classes are chosen.

    Example:
        >>> counts = HitCounts((2,))
        >>> hits = np.array([[True, False], [True, True]])
        >>> counts.add(hits, np.array([1, 3]))
        >>> counts.at(2)
        AtK(precision=0.75, recall=0.8333333333333333, f1=0.7333333333333334)
        >>> counts.recall(2)  # 3 of 4 labels
        0.75
    """

    def __init__(self, ks: Sequence[int]):
        # [hits, labels] by k.
        self._images = {k: np.zeros((k + 1, 1), np.int64) for k in ks}

    def add(self, hits: np.ndarray, label_counts: np.ndarray) -> None:
        """Counts a batch.

        Args:
            hits: bool [images, ranks], best first.
            label_counts: labels of every image [images].
        """
        most = int(label_counts.max(initial=0))
        running = np.cumsum(hits, axis=1)
        for k, table in self._images.items():
            # Room for an image with more labels than any before.
            self._images[k] = table = _widened(table, most + 1)
            found = running[:, min(k, hits.shape[1]) - 1]
            np.add.at(table, (found, label_counts), 1)

    def tables(self) -> list[np.ndarray]:
        """Returns what was counted; see `model.workers.team.Counts`."""
        return list(self._images.values())

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Adds what another one has counted."""
        for (k, own), other in zip(self._images.items(), tables, strict=True):
            width = max(own.shape[1], other.shape[1])
            self._images[k] = _widened(own, width) + _widened(other, width)

    @property
    def images(self) -> int:
        """Number of images."""
        return int(next(iter(self._images.values())).sum())

    @property
    def labels(self) -> int:
        """Number of labels of all images."""
        table = next(iter(self._images.values()))
        return int(table.sum(axis=0) @ np.arange(table.shape[1]))

    def at(self, k: int) -> AtK:
        """Returns the means over images."""
        hits, labels = np.indices(self._images[k].shape).reshape(2, -1)
        return mean_at_k(hits, labels, k, self._images[k].reshape(-1))

    def ceiling(self, k: int) -> AtK:
        """Returns the best means that the numbers of labels allow."""
        images = self._images[k].sum(axis=0)
        return ceiling_at_k(np.arange(len(images)), k, images)

    def recall(self, k: int) -> float:
        """Returns the share of all images' labels among the k best."""
        table = self._images[k]
        found = int(table.sum(axis=1) @ np.arange(k + 1))
        return found / self.labels if self.labels else 0.0

    def most_recall(self, k: int) -> float:
        """Returns the most that `recall` can be, with min(k, |y|) found."""
        images = self._images[k].sum(axis=0)
        found = int(images @ np.minimum(np.arange(len(images)), k))
        return found / self.labels if self.labels else 0.0


def _widened(table: np.ndarray, width: int) -> np.ndarray:
    """Returns a table with columns of 0 up to a width, if it has fewer."""
    more = max(width - table.shape[1], 0)
    return np.pad(table, ((0, 0), (0, more))) if more else table


class HitsBesideBaseline:
    """Hits of the model and of the baseline over the same images.

    Args:
        ks: how many best classes are chosen.
        baseline: the baseline's best classes, best first; the same for every
            image.
    """

    def __init__(self, ks: Sequence[int], baseline: np.ndarray):
        self.model = HitCounts(ks)
        self.baseline = HitCounts(ks)
        self._best = baseline

    def add(
        self, positive: np.ndarray, best: np.ndarray, label_counts: np.ndarray
    ) -> None:
        """Counts a batch.

        Args:
            positive: bool [images, classes], the labels that count.
            best: the model's best classes [images, ranks].
            label_counts: how many labels count [images].
        """
        hits = np.take_along_axis(positive, best, axis=1)
        self.model.add(hits, label_counts)
        self.baseline.add(positive[:, self._best], label_counts)
