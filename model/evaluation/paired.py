"""A model beside an earlier one, on the same images: paired differences.

An interval of each model's own figure is wide, because images differ in how
hard they are. Of the difference on the same images it is narrow: what is hard
is hard for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from model.evaluation.ranking import best_classes
from model.scores.score_histogram import ScoreHistogram

# Of a normal distribution: 95 % lie within so many standard errors.
_Z = 1.959964
_K = 5


@dataclass(frozen=True)
class Difference:
    """How far one figure of a model is from an earlier model's.

    Attributes:
        model, earlier: the figures, over the classes that both know.
        low, high: 95 % interval of the difference.
        units: images, or of macro average precision classes, that it is a
            mean over.
    """

    model: float
    earlier: float
    low: float
    high: float
    units: int

    @property
    def value(self) -> float:
        """The difference; above 0 the model is better."""
        return self.model - self.earlier

    def to_json(self) -> dict[str, Any]:
        """Returns all of it."""
        return asdict(self) | {"difference": self.value}


class PairedScores:
    """Counts the scores of two models over the same images, batch by batch.

    Args:
        common: int [common], ascending: the classes of the data set that both
            models know.
        leaves: int, ascending: those of them without classes below.
    """

    def __init__(self, common: np.ndarray, leaves: np.ndarray):
        self._common = np.asarray(common, np.int64)
        # Both, as columns of what is cut out below.
        self._columns = {
            "f1_at_5": np.arange(len(self._common)),
            "leaf_f1_at_5": np.searchsorted(self._common, leaves),
        }
        # images, sums of both models, of the difference and of its square
        self._sums = {name: np.zeros(5) for name in self._columns}
        self._histograms = [ScoreHistogram(len(self._common)) for _ in range(2)]

    def update(
        self, labels: np.ndarray, model: np.ndarray, earlier: np.ndarray
    ) -> None:
        """Adds a batch.

        Args:
            labels: [images, classes]; above 0 positive.
            model, earlier: probabilities [images, classes], of the data set's
                classes.
        """
        labels = labels[:, self._common]
        scores = [
            s[:, self._common].astype(np.float32) for s in (model, earlier)
        ]
        positive = labels > 0
        for name, columns in self._columns.items():
            new, old = (f1_of_images(positive, s, columns) for s in scores)
            d = new - old
            self._sums[name] += [
                len(d),
                *(x.sum() for x in (new, old, d, d * d)),
            ]
        for histogram, given in zip(self._histograms, scores, strict=True):
            histogram.add(labels, given)

    def tables(self) -> list[np.ndarray]:
        """Returns what was counted; see `model.workers.team.Counts`."""
        return [*self._sums.values(), *(h.counts for h in self._histograms)]

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Adds what another one has counted of other images."""
        for own, other in zip(self.tables(), tables, strict=True):
            own += other

    def differences(self) -> dict[str, Difference]:
        """Returns the differences by the figure's name; none without images.

        Of macro average precision the interval is over the classes: how far
        the mean over them would move with other classes of their kind.
        """
        found = {
            name: _of_sums(*sums)
            for name, sums in self._sums.items()
            if sums[0]
        }
        new, old = (h.average_precision()[0] for h in self._histograms)
        have = self._histograms[0].positives.any(axis=1)
        if have.any():
            new, old = new[have], old[have]
            d = new - old
            sums = (new.sum(), old.sum(), d.sum(), (d * d).sum())
            found["macro_average_precision"] = _of_sums(len(d), *sums)
        return found


def f1_of_images(
    positive: np.ndarray, scores: np.ndarray, columns: np.ndarray, k: int = _K
) -> np.ndarray:
    """Returns 2 hits / (k + labels) of each image, float64 [images].

    Args:
        positive: bool [images, classes].
        scores: [images, classes].
        columns: the classes that are chosen from and that count as labels.

    Example:
        >>> labels = np.array([[True, False, True]])
        >>> f1_of_images(labels, np.array([[0.9, 0.8, 0.1]]), np.arange(3), 2)
        array([0.5])
    """
    best = best_classes(scores, k, columns)
    hits = np.take_along_axis(positive, best, axis=1).sum(axis=1)
    return 2 * hits / (k + positive[:, columns].sum(axis=1))


def _of_sums(
    n: float, new: float, old: float, difference: float, square: float
) -> Difference:
    mean = difference / n
    # One image or class alone says nothing of the spread.
    variance = max(square - n * mean * mean, 0.0) / (n - 1) if n > 1 else np.inf
    half = _Z * float(np.sqrt(variance / n))
    return Difference(new / n, old / n, mean - half, mean + half, int(n))
