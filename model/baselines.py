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


def ceiling_at_k(label_counts: np.ndarray, k: int) -> AtK:
    """Returns the best figures that the label counts allow.

    No choice of k tags has more than min(k, |y|) hits, so an image with 3
    labels cannot pass precision 0.6 at 5, nor one with 8 labels recall 0.625.

    Args:
        label_counts: labels of every image, |y| [images].
        k: at least 1.

    Example:
        >>> ceiling_at_k(np.array([3, 8]), k=5)
        AtK(precision=0.8, recall=0.8125, f1=0.7596153846153846)
    """
    counts = np.asarray(label_counts, np.float64)
    if not counts.size:
        return AtK(0.0, 0.0, 0.0)
    hits = np.minimum(counts, k)
    return AtK(
        precision=float(np.mean(hits / k)),
        recall=float(np.mean(hits / np.maximum(counts, 1))),
        f1=float(np.mean(2 * hits / (k + counts))),
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
