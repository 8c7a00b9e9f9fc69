"""From probabilities to tags: a threshold of every class, with back-off."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.special import expit

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from model.scores.back_off import BackOff, fit_with_back_off, pooled
from model.scores.options import LEAST_FOR_THRESHOLD
from model.scores.score_histogram import ScoreHistogram, lower_edges

# Tags that must be chosen before their precision is believed.
LEAST_CHOSEN = 10


def fit_thresholds(
    histogram: ScoreHistogram,
    hierarchy: Hierarchy,
    calibration: np.ndarray,
    *,
    precision: float | None = None,
    least: int = LEAST_FOR_THRESHOLD,
    known_only: bool = False,
) -> BackOff:
    """Finds a threshold of every class on its calibrated probability.

    Args:
        histogram: of the calibration split.
        calibration: slopes and offsets [classes, 2].
        precision: the wished one; None for the maximum F1.
        least: positives that a threshold needs.
        known_only: unknown labels are left out, else they are negatives.

    Returns:
        Values [classes, 3]: the threshold, inf if the class reaches the
        wished precision nowhere; precision and recall of the group there.

    Raises:
        InputError: the precision is not within 0 and 1.
    """
    check_precision(precision)
    negatives = histogram.negatives(known_only)
    slope, offset = calibration.T

    def fit(members: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        found = best_thresholds(
            pooled(histogram.positives, members, slope, offset),
            pooled(negatives, members, slope, offset),
            lower_edges(histogram.bins),
            precision,
        )
        return found, np.ones(len(found), bool)

    positives = histogram.positives.sum(axis=1, dtype=np.int64)
    default = (0.5, np.nan, np.nan)
    return fit_with_back_off(positives, hierarchy, least, fit, default)


def best_thresholds(
    positives: np.ndarray,
    negatives: np.ndarray,
    edges: np.ndarray,
    precision: float | None = None,
) -> np.ndarray:
    """Returns the best threshold of every group, by its counted scores.

    The one of most F1, the higher of two that are equally good; or the one
    of most recall among those that reach a precision.

    Args:
        positives, negatives: images [groups, bins], lowest scores first.
        edges: least logit of every bin [bins], ascending.
        precision: the wished one, or None for F1.

    Returns:
        float64 [groups, 3]: threshold as a probability, inf where none
        reaches the precision; precision and recall there.

    Example:
        >>> best_thresholds(
        ...     np.array([[1, 0, 5, 4]]),
        ...     np.array([[80, 9, 1, 0]]),
        ...     np.array([-2.0, -1.0, 0.0, 1.0]),
        ... ).tolist()
        [[0.5, 0.9, 0.9]]
    """
    true = _from_above(positives)
    chosen = true + _from_above(negatives)
    total = np.maximum(true[:, :1], 1.0)
    reached = true / np.maximum(chosen, 1.0)
    if precision is None:
        goal = 2 * true / np.maximum(chosen + total, 1.0)
        possible = np.ones(len(goal), bool)
    else:
        # A precision of 9 in 10 must not fail by a rounding.
        good = (reached >= precision - 1e-12) & (chosen >= LEAST_CHOSEN)
        goal = np.where(good, true, -1.0)
        possible = good.any(axis=1)
    last = goal.shape[1] - 1
    # argmax takes the first of equals: turned round, the highest threshold.
    best = last - np.argmax(np.flip(goal, axis=1), axis=1)
    rows = np.arange(len(best))
    values = [expit(edges[best]), reached[rows, best], true[rows, best]]
    found = np.stack(values, axis=1)
    found[:, 2] /= total[:, 0]
    found[~possible] = np.inf, np.nan, 0.0
    return found


def check_precision(precision: float | None) -> None:
    """Refuses a wished precision that is none; None is allowed.

    Raises:
        InputError: it is not within 0 and 1.
    """
    if precision is not None and not 0 < precision <= 1:
        raise InputError(
            "the wished precision must be above 0 and at most 1; received: "
            f"{precision}"
        )


def _from_above(counts: np.ndarray) -> np.ndarray:
    """Returns how many lie in each bin and above, float64 [groups, bins]."""
    counts = np.asarray(counts, np.float64)
    return np.flip(np.cumsum(np.flip(counts, axis=1), axis=1), axis=1)
