"""Do probabilities come true? Calibration error and reliability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from model.scores.score_histogram import (
    LARGEST_LOGIT,
    ScoreHistogram,
    blocks,
    centres,
)

# Bins of equal width, as in Guo et al., https://arxiv.org/abs/1706.04599.
ECE_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Probabilities beside what came true, over all images and classes.

    Attributes:
        expected_calibration_error: mean distance of probability and share of
            positives in bins of equal width.
        per_class_error: the same of each class alone, mean over the classes
            with positives.
        labels_expected: sum of an image's probabilities, mean over images.
        labels_observed: mean labels per image.
        probability: mean of each bin of the diagram [bins]; a bin is one
            step of the logit.
        observed: share of positives in each [bins].
        pairs: (image, class) pairs in each [bins], above 0.
    """

    expected_calibration_error: float
    per_class_error: float
    labels_expected: float
    labels_observed: float
    probability: np.ndarray
    observed: np.ndarray
    pairs: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Returns all numbers, rounded."""
        return {
            "expected_calibration_error": round(
                self.expected_calibration_error, 8
            ),
            "per_class_error": round(self.per_class_error, 8),
            "labels_expected": round(self.labels_expected, 6),
            "labels_observed": round(self.labels_observed, 6),
            "diagram": {
                "probability": self.probability.round(6).tolist(),
                "observed": self.observed.round(6).tolist(),
                "pairs": self.pairs.astype(int).tolist(),
            },
        }


def measure(
    histogram: ScoreHistogram,
    calibration: np.ndarray | None = None,
    *,
    known_only: bool = False,
) -> Reliability:
    """Measures how true probabilities are.

    Args:
        histogram: of scores and labels.
        calibration: slopes and offsets [classes, 2]; None for the scores as
            they are.
        known_only: unknown labels are left out, else they are negatives.
    """
    if calibration is None:
        calibration = np.tile([1.0, 0.0], (histogram.classes, 1))
    sums = _Sums(histogram.bins)
    negatives = histogram.negatives(known_only)
    for rows in blocks(histogram.classes):
        sums.add(histogram.positives[rows], negatives[rows], calibration[rows])
    return sums.result()


class _Sums:
    """Pairs, positives and probabilities, summed in bins."""

    def __init__(self, bins: int):
        self.middles = centres(bins)
        # Pairs, positives, sum of probabilities.
        self.wide = np.zeros((3, ECE_BINS))
        self.steps = np.zeros((3, 2 * int(LARGEST_LOGIT) + 1))
        self.class_errors: list[np.ndarray] = []
        self.images = 0.0

    def add(self, positives, negatives, calibration) -> None:
        """Adds some classes, [classes, bins] and [classes, 2]."""
        pairs = positives.astype(np.float64) + negatives
        # With known labels alone each class has another number of images.
        self.images = max(self.images, float(pairs.sum(axis=1).max()))
        logits = calibration[:, :1] * self.middles + calibration[:, 1:]
        p = expit(logits)
        values = (pairs, positives.astype(np.float64), pairs * p)
        # A probability of 1 belongs to the last bin.
        width = np.minimum((p * ECE_BINS).astype(np.int64), ECE_BINS - 1)
        by_class = _binned(width, values, ECE_BINS)
        self.wide += by_class.sum(axis=1)
        have = by_class[1].sum(axis=1) > 0
        apart = np.abs(by_class[1] - by_class[2]).sum(axis=1)
        total = np.maximum(by_class[0].sum(axis=1), 1)
        self.class_errors.append((apart / total)[have])
        most = int(LARGEST_LOGIT)
        # Equal steps of probability would put nearly all pairs in one bin.
        step = np.rint(np.clip(logits, -most, most)).astype(np.int64) + most
        self.steps += _binned(step, values, 2 * most + 1).sum(axis=1)

    def result(self) -> Reliability:
        """Returns what all classes together give."""
        pairs, positives, probabilities = self.wide
        errors = np.concatenate(self.class_errors)
        used = self.steps[:, self.steps[0] > 0]
        images = max(self.images, 1.0)
        return Reliability(
            expected_calibration_error=float(
                np.abs(positives - probabilities).sum() / max(pairs.sum(), 1)
            ),
            per_class_error=float(errors.mean()) if len(errors) else 0.0,
            labels_expected=float(probabilities.sum() / images),
            labels_observed=float(positives.sum() / images),
            probability=used[2] / used[0],
            observed=used[1] / used[0],
            pairs=used[0],
        )


def _binned(
    places: np.ndarray, values: tuple[np.ndarray, ...], bins: int
) -> np.ndarray:
    """Returns sums by class and bin, float64 [values, classes, bins]."""
    classes = len(places)
    cells = (places + bins * np.arange(classes)[:, None]).reshape(-1)
    sums = [np.bincount(cells, v.reshape(-1), classes * bins) for v in values]
    return np.reshape(sums, (len(values), classes, bins))
