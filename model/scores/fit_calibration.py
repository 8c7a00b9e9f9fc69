"""From scores to probabilities: Platt scaling with back-off.

A trained tagger's sigmoids are no probabilities: a positive counts 12 times
in its loss. Each class gets probability = sigmoid(slope x logit + offset),
fitted where no training image and no reported figure comes from.
"""

from __future__ import annotations

import os

import numpy as np
from scipy import sparse
from scipy.special import expit

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model.scores import reliability
from model.scores.back_off import BackOff, fit_with_back_off, pooled
from model.scores.options import LEAST_FOR_CALIBRATION
from model.scores.score_histogram import ScoreHistogram, blocks, centres

_ITERATIONS = 50
_TOLERANCE = 1e-6
# Draws the slope towards 1: decides where all scores are equal.
_RIDGE = 1.0
# Slope and offset of the scores as they are.
_RAW = (1.0, 0.0)


def fit_calibration(
    histogram: ScoreHistogram,
    hierarchy: Hierarchy,
    *,
    least: int = LEAST_FOR_CALIBRATION,
    known_only: bool = False,
) -> BackOff:
    """Fits slope and offset of every class.

    A fit that would turn the order of the scores round is no good; its
    classes take the next level's. So does a class that would come out of its
    relatives' fit worse than its scores are, by its calibration error or its
    log loss on these images; where none is better, its scores stay.

    Args:
        histogram: of the calibration split.
        least: positives that a fit needs.
        known_only: unknown labels are left out, else they are negatives.

    Returns:
        Values [classes, 2]: slope above 0, offset.
    """
    negatives = histogram.negatives(known_only)
    middles = centres(histogram.bins)

    def fit(members: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        values = fit_platt(
            pooled(histogram.positives, members),
            pooled(negatives, members),
            middles,
        )
        return values, values[:, 0] > 0

    def suits(classes: np.ndarray, values: np.ndarray) -> np.ndarray:
        found = np.zeros(len(classes), bool)
        for part in blocks(len(classes)):
            rows = classes[part]
            found[part] = _no_worse(
                histogram.positives[rows], negatives[rows], values
            )
        return found

    positives = histogram.positives.sum(axis=1, dtype=np.int64)
    return fit_with_back_off(positives, hierarchy, least, fit, _RAW, suits)


def _no_worse(
    positives: np.ndarray, negatives: np.ndarray, values: np.ndarray
) -> np.ndarray:
    """Tells which classes [classes, bins] are no worse than their scores."""
    raw, fitted = (np.tile(v, (len(positives), 1)) for v in (_RAW, values))
    good = np.ones(len(positives), bool)
    for measure in (reliability.class_errors, reliability.class_losses):
        before = measure(positives, negatives, raw)
        good &= measure(positives, negatives, fitted) <= before
    return good


def fit_platt(
    positives: np.ndarray, negatives: np.ndarray, logits: np.ndarray
) -> np.ndarray:
    """Fits slope and offset of groups, all at once.

    Platt's regression on smoothed targets, (p + 1) / (p + 2) for p positives
    and 1 / (n + 2) for n negatives, by Newton's method with halved steps
    (Lin, Lin, Weng: A note on Platt's probabilistic outputs, 2007).

    Args:
        positives, negatives: counts [groups, bins].
        logits: of the bins [bins].

    Returns:
        float64 [groups, 2].

    Example:
        >>> positives = np.array([[2e7, 8e7]])
        >>> negatives = np.array([[8e7, 2e7]])
        >>> found = fit_platt(positives, negatives, np.array([-1.0, 1.0]))
        >>> found.round(4).tolist()  # log(8 / 2) at a logit of 1
        [[1.3863, 0.0]]
    """
    used = positives.any(axis=0) | negatives.any(axis=0)
    problem = _Platt(positives[:, used], negatives[:, used], logits[used])
    found = np.tile([1.0, 0.0], (len(positives), 1))
    loss = problem.loss(found, slice(None))
    rows = np.arange(len(positives))
    for _ in range(_ITERATIONS):
        if not len(rows):
            break
        step = problem.newton_step(found[rows], rows)
        found[rows], loss[rows] = problem.descend(
            found[rows], step, loss[rows], rows
        )
        rows = rows[np.abs(step).max(axis=1) > _TOLERANCE]
    return found


def check_calibration_split(dataset: str | os.PathLike[str]) -> None:
    """Refuses a data set without a calibration split.

    Raises:
        InputError: there is none, or no data set.
    """
    # A missing data set is another error than a missing split.
    dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    try:
        dataset_folder.shard_paths(dataset, dataset_folder.CALIBRATION)
    except InputError as error:
        raise InputError(
            f"{os.fspath(dataset)} has no calibration split, and validation "
            "must not be used for it; build the data set with `tagforest "
            "dataset --splits train=0.8,validation=0.1,calibration=0.1`"
        ) from error


class _Platt:
    """The regularised logistic loss of groups on binned logits."""

    def __init__(self, positives, negatives, logits):
        p = positives.sum(axis=1, keepdims=True)
        n = negatives.sum(axis=1, keepdims=True)
        self.logits = logits
        self.weight = positives + negatives
        # The sum of all targets in a bin.
        self.target = positives * (p + 1) / (p + 2) + negatives / (n + 2)

    def loss(self, values, rows):
        """Returns the loss of [groups, 2] values, float64 [groups]."""
        z = self._moved(values)
        costs = self.weight[rows] * np.logaddexp(0, z) - self.target[rows] * z
        return costs.sum(axis=1) + 0.5 * _RIDGE * (values[:, 0] - 1) ** 2

    def newton_step(self, values, rows):
        """Returns the step to the minimum of the quadratic fit."""
        p = expit(self._moved(values))
        slope_of = self.weight[rows] * p - self.target[rows]
        g1 = slope_of.sum(axis=1)
        g0 = slope_of @ self.logits + _RIDGE * (values[:, 0] - 1)
        curve = self.weight[rows] * p * (1 - p)
        h00 = curve @ self.logits**2 + _RIDGE
        h01 = curve @ self.logits
        # Far from the minimum all curvature may vanish.
        h11 = curve.sum(axis=1) + 1e-9
        scale = h00 * h11 - h01**2
        return (
            np.stack([h01 * g1 - h11 * g0, h01 * g0 - h00 * g1], 1)
            / (scale[:, None])
        )

    def descend(self, values, step, loss, rows):
        """Returns better values and their loss; halves steps too long."""
        scale = np.ones(len(values))
        # A step halved so often is none.
        for _ in range(30):
            new = values + scale[:, None] * step
            new_loss = self.loss(new, rows)
            # At the minimum a rounding must not count as worse. So written, a
            # NaN is worse, too.
            worse = ~(new_loss <= loss + 1e-9 * np.abs(loss))
            if not worse.any():
                break
            scale[worse] /= 2
        kept = worse[:, None]
        return np.where(kept, values, new), np.where(worse, loss, new_loss)

    def _moved(self, values):
        return values[:, :1] * self.logits + values[:, 1:]
