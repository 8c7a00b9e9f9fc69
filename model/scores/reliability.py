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


def class_errors(
    positives: np.ndarray, negatives: np.ndarray, calibration: np.ndarray
) -> np.ndarray:
    """Returns the expected calibration error of every class.

    Args:
        positives, negatives: counts [classes, bins].
        calibration: slopes and offsets [classes, 2].

    Returns:
        float64 [classes], 0 to 1; 0 for a class without images.
    """
    logits = _moved(calibration, positives.shape[1])
    return _errors_of(_in_wide_bins(positives, negatives, expit(logits)))


def class_losses(
    positives: np.ndarray, negatives: np.ndarray, calibration: np.ndarray
) -> np.ndarray:
    """Returns the summed log loss of every class, float64 [classes].

    Args:
        positives, negatives: counts [classes, bins].
        calibration: slopes and offsets [classes, 2].
    """
    logits = _moved(calibration, positives.shape[1])
    costs = positives * np.logaddexp(0, -logits)
    costs += negatives * np.logaddexp(0, logits)
    return costs.sum(axis=1)


class _Sums:
    """Pairs, positives and probabilities, summed in bins."""

    def __init__(self, bins: int):
        self.bins = bins
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
        logits = _moved(calibration, self.bins)
        p = expit(logits)
        by_class = _in_wide_bins(positives, negatives, p)
        self.wide += by_class.sum(axis=1)
        have = by_class[1].sum(axis=1) > 0
        self.class_errors.append(_errors_of(by_class)[have])
        values = (pairs, positives.astype(np.float64), pairs * p)
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


def _moved(calibration: np.ndarray, bins: int) -> np.ndarray:
    return calibration[:, :1] * centres(bins) + calibration[:, 1:]


def _in_wide_bins(
    positives: np.ndarray, negatives: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """Returns pairs, positives and probabilities [3, classes, ECE_BINS]."""
    pairs = positives.astype(np.float64) + negatives
    values = (pairs, positives.astype(np.float64), pairs * p)
    # A probability of 1 belongs to the last bin.
    width = np.minimum((p * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    return _binned(width, values, ECE_BINS)


def _errors_of(by_class: np.ndarray) -> np.ndarray:
    pairs, positives, probabilities = by_class
    apart = np.abs(positives - probabilities).sum(axis=1)
    return apart / np.maximum(pairs.sum(axis=1), 1)


def _binned(
    places: np.ndarray, values: tuple[np.ndarray, ...], bins: int
) -> np.ndarray:
    """Returns sums by class and bin, float64 [values, classes, bins]."""
    classes = len(places)
    cells = (places + bins * np.arange(classes)[:, None]).reshape(-1)
    sums = [np.bincount(cells, v.reshape(-1), classes * bins) for v in values]
    return np.reshape(sums, (len(values), classes, bins))
