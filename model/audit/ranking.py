"""Doubtful and missing labels of scored images, ranked in bounded memory.

Confident learning (Northcutt, Jiang, Chuang: Confident Learning: Estimating
Uncertainty in Dataset Labels, 2021, https://arxiv.org/abs/1911.00068), label by
label: the threshold of class j is what its images score on average,

    t_j = mean of s_ij over the images i that are given j.

A given label is doubtful where s_ij < t_j, by t_j / s_ij: a class that is never
scored high says little of its labels. A label that is not given is missing
where s_ij > t_j, by s_ij. (On drawn scenes with planted noise the quotient was
right more often than the difference: BENCHMARKS.md, "Label audit".)

The tree: an image that has a class has its ancestors, so a wrong label is
looked for among the leaf-most given ones alone, and what it brought with it
follows; of the missing ones of an image on one path the leaf-most counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source, ledger_codes

# Entries that wait to be sorted, beside those kept; 16 bytes each.
_WAITING = 1 << 20
# Lower ones are ties: digits of float32 beyond say nothing.
_LEAST_SCORE = 1e-6
# Codes of the ledger, see `ledger.ledger_codes`.
_CODES = int(ledger_codes(max(Rule), max(Source))) + 1


class Findings(NamedTuple):
    """Labels, the most striking first.

    Attributes:
        images: int64 [findings], the number of the image.
        classes: int32 [findings].
        scores: float32 [findings], of the image for the class.
    """

    images: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def take(self, chosen: np.ndarray) -> Findings:
        """Returns some of them, by position or mask."""
        return Findings(*(column[chosen] for column in self))


def leaf_most(
    given: np.ndarray, hierarchy: Hierarchy
) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and columns of given labels without one below them.

    Args:
        given: bool [images, classes], closed under the hierarchy.
        hierarchy: the classes.

    Example:
        >>> tree = Hierarchy([(), (0,), ()])
        >>> leaf_most(np.array([[True, True, False]]), tree)
        (array([0]), array([1]))
    """
    rows, columns = np.nonzero(given)
    inner = np.zeros_like(given)
    parents = [hierarchy.parents[c] for c in columns.tolist()]
    above = np.fromiter((p for row in parents for p in row), np.int64)
    inner[np.repeat(rows, [len(row) for row in parents]), above] = True
    chosen = ~inner[rows, columns]
    return rows[chosen], columns[chosen]


@dataclass
class NoiseRanking:
    """Looks at each score once; memory does not grow with the images.

    Args:
        hierarchy: the classes.
        per_class: most findings of a class and a kind.

    Attributes:
        images: how many were looked at.
        given: int64 [classes], leaf-most labels that were looked at.
        given_by_code: int64 [codes], the same by their `label/ledger`, where
            that was told.
    """

    hierarchy: Hierarchy
    per_class: int
    images: int = 0
    given: np.ndarray = field(init=False)
    given_by_code: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        if self.per_class < 1:
            raise InputError(
                f"at least 1 finding of a class; received: {self.per_class}"
            )
        classes = len(self.hierarchy)
        self.given = np.zeros(classes, np.int64)
        self.given_by_code = np.zeros(_CODES, np.int64)
        self._sums = np.zeros(classes)
        self._counts = np.zeros(classes, np.int64)
        self._low = _Best(classes, self.per_class)
        self._high = _Best(classes, self.per_class)

    def add(
        self,
        labels: np.ndarray,
        scores: np.ndarray,
        settled: np.ndarray | None = None,
        ledger: np.ndarray | None = None,
    ) -> None:
        """Looks at a batch; images are numbered in the order they come.

        Args:
            labels: [images, classes], above 0 given; closed.
            scores: probabilities [images, classes].
            settled: bool [images, classes], True for what somebody has looked
                at: it is no finding.
            ledger: codes of `labels.ledger` [images, classes].

        Raises:
            InputError: of other shapes, or a score out of 0 to 1.
        """
        labels, scores = np.asarray(labels), np.asarray(scores, np.float32)
        _check(labels, scores, len(self.hierarchy))
        given = labels > 0
        # Of 11,166 classes an image is given a dozen: the rest is not summed.
        rows, columns = np.nonzero(given)
        classes = len(self.given)
        self._sums += np.bincount(columns, scores[rows, columns], classes)
        self._counts += np.bincount(columns, minlength=classes)
        rows, columns = leaf_most(given, self.hierarchy)
        self.given += np.bincount(columns, minlength=classes)
        if ledger is not None:
            codes = ledger[rows, columns].astype(np.int64)
            self.given_by_code += np.bincount(codes, minlength=_CODES)
        if settled is not None:
            open_ones = ~settled[rows, columns]
            rows, columns = rows[open_ones], columns[open_ones]
            given = given | settled
        self._low.offer(columns, -scores[rows, columns], self.images + rows)
        rows, columns = np.nonzero(~given & (scores > self._high.cutoffs))
        self._high.offer(columns, scores[rows, columns], self.images + rows)
        self.images += len(labels)

    def thresholds(self) -> np.ndarray:
        """Returns t_j, float64 [classes]; NaN for a class that none has."""
        with np.errstate(invalid="ignore"):
            return self._sums / np.where(self._counts, self._counts, np.nan)

    def doubtful(self, most: int) -> Findings:
        """Returns given labels below their class's threshold."""
        classes, keys, images = self._low.entries()
        found = Findings(images, classes, -keys)
        thresholds = self.thresholds()[classes]
        below = found.scores < thresholds
        quotients = thresholds / np.maximum(found.scores, _LEAST_SCORE)
        return _ranked(found, quotients, below, most)

    def missing(self, most: int) -> Findings:
        """Returns labels not given and over their class's threshold."""
        classes, keys, images = self._high.entries()
        found = Findings(images, classes, keys)
        over = found.scores > self.thresholds()[classes]
        found = found.take(over)
        lowest = _without_ancestors(found, self.hierarchy)
        return _ranked(found, found.scores, lowest, most)


class _Best:
    """The entries of every class with the highest keys.

    Attributes:
        cutoffs: float32 [classes], a key must be higher.
    """

    def __init__(self, classes: int, per_class: int):
        self.cutoffs = np.full(classes, -np.inf, np.float32)
        self._per_class = per_class
        self._kept = _no_entries()
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._count = 0

    def offer(
        self, classes: np.ndarray, keys: np.ndarray, images: np.ndarray
    ) -> None:
        # Of equal keys the first image's stays.
        chosen = keys > self.cutoffs[classes]
        entry = (
            classes[chosen].astype(np.int32),
            keys[chosen].astype(np.float32),
            images[chosen].astype(np.int64),
        )
        self._waiting.append(entry)
        self._count += len(entry[0])
        if self._count > _WAITING:
            self._prune()

    def entries(self) -> tuple[np.ndarray, ...]:
        """Returns classes, keys and images, sorted by class, best first."""
        self._prune()
        return self._kept

    def _prune(self) -> None:
        parts = [self._kept, *self._waiting]
        classes, keys, images = map(np.concatenate, zip(*parts, strict=True))
        order = np.lexsort((images, -keys, classes))
        classes = classes[order]
        place = np.arange(len(order)) - np.searchsorted(classes, classes)
        order, classes = (a[place < self._per_class] for a in (order, classes))
        self._kept = classes, keys[order], images[order]
        last = place[place < self._per_class] == self._per_class - 1
        self.cutoffs[classes[last]] = self._kept[1][last]
        self._waiting, self._count = [], 0


def _no_entries() -> tuple[np.ndarray, ...]:
    return np.empty(0, np.int32), np.empty(0, np.float32), np.empty(0, np.int64)


def _without_ancestors(found: Findings, hierarchy: Hierarchy) -> np.ndarray:
    """Tells which findings have no other one below them in their image."""
    pairs = zip(found.images.tolist(), found.classes.tolist(), strict=True)
    above = {
        (image, ancestor)
        for image, label in pairs
        for ancestor in hierarchy.ancestors(label)
    }
    pairs = zip(found.images.tolist(), found.classes.tolist(), strict=True)
    return np.array([pair not in above for pair in pairs], bool)


def _ranked(
    found: Findings, keys: np.ndarray, chosen: np.ndarray, most: int
) -> Findings:
    found, keys = found.take(chosen), keys[chosen]
    order = np.lexsort((found.classes, found.images, -keys))
    return found.take(order[:most])


def _check(labels: np.ndarray, scores: np.ndarray, classes: int) -> None:
    if labels.shape != scores.shape or scores.shape[1:] != (classes,):
        raise InputError(
            f"labels and scores must be [images, {classes}]; received: "
            f"{labels.shape} and {scores.shape}"
        )
    # NaN fails the comparison.
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise InputError(
            f"scores must be 0 to 1; received: {scores.min()} to {scores.max()}"
        )
