"""What a score is worth: the score of no model, and the best there can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_jobs.errors import InputError


@dataclass(frozen=True)
class AtK:
    """Precision, recall and F1 at k, means over images."""

    precision: float
    recall: float
    f1: float


def most_frequent_tags(train_counts: np.ndarray) -> np.ndarray:
    """Returns the scores of the most-frequent-tags baseline.

    It looks at no image: every class scores its share of the training
    labels' most frequent class, so every image gets the same tags.

    Args:
        train_counts: training images of every class [classes].

    Returns:
        float32 [classes], 0 to 1.

    Raises:
        InputError: not one class has a training image.
    """
    counts = np.asarray(train_counts, np.float64)
    if counts.max(initial=0) <= 0:
        raise InputError("no class has a training image: nothing to compare to")
    # Doubles first: counts above 2**24 must not become ties by rounding.
    return (counts / counts.max()).astype(np.float32)


def ceiling_at_k(
    label_counts: np.ndarray, k: int, images: np.ndarray | None = None
) -> AtK:
    """Returns the best figures that the label counts allow.

    No choice of k tags has more than min(k, |y|) hits, so an image with 3
    labels cannot pass precision 0.6 at 5, nor one with 8 labels recall 0.625.

    Args:
        label_counts: numbers of labels, |y| [counts].
        k: at least 1.
        images: how many have each of these numbers [counts]; one by default.

    Example:
        >>> ceiling_at_k(np.array([3, 8]), k=5)
        AtK(precision=0.8, recall=0.8125, f1=0.7596153846153846)
    """
    counts = np.asarray(label_counts, np.int64)
    return mean_at_k(np.minimum(counts, k), counts, k, images)


def mean_at_k(
    hits: np.ndarray,
    label_counts: np.ndarray,
    k: int,
    images: np.ndarray | None = None,
) -> AtK:
    """Returns P_k = h / k, R_k = h / |y| and F1_k, means over images.

    Tencent ML-Images, section 4.1, with 0/0 = 0. F1 is averaged, it is not
    that of mean P and R: 2 P R / (P + R) = 2 h / (k + |y|).

    Args:
        hits: labels among the k tags, h [counts].
        label_counts: numbers of labels, |y| [counts].
        k: number of tags, at least 1.
        images: how many have both numbers [counts]; one by default.

    Example:
        >>> mean_at_k(np.array([2, 5]), np.array([3, 5]), k=5)
        AtK(precision=0.7, recall=0.8333333333333333, f1=0.75)
    """
    hits = np.asarray(hits, np.float64)
    counts = np.asarray(label_counts, np.float64)
    weights = np.ones(len(hits)) if images is None else images
    total = float(np.sum(weights))
    if not total:
        return AtK(0.0, 0.0, 0.0)
    return AtK(
        precision=float(np.sum(weights * (hits / k)) / total),
        recall=float(np.sum(weights * (hits / np.maximum(counts, 1))) / total),
        f1=float(np.sum(weights * (2 * hits / (k + counts))) / total),
    )


def gap_closed(score: float, baseline: float, ceiling: float) -> float | None:
    """Returns (score - baseline) / (ceiling - baseline).

    0 is no better than the baseline, 1 is the best possible, below 0 is
    worse than the baseline. None where the baseline leaves no gap.

    Example:
        >>> gap_closed(0.5, baseline=0.25, ceiling=0.75)
        0.5
    """
    gap = ceiling - baseline
    return (score - baseline) / gap if gap > 0 else None
