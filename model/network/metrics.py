"""Per-image precision, recall and F1 at k, for looks during a training.

`model.evaluation` has its own, for all k at once.

Labels are multi-hot [images, classes]; a value above 0 is a positive. Scores
are probabilities [images, classes]. Equal scores rank by class index, lower
first, so that a result never depends on chance.

The labels of a validation image are seldom complete: all figures here are
about observed labels and understate the model (Tencent ML-Images, arXiv
1901.01703, section 3.2).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def top_k_hits(y_true: Any, y_pred: Any, k: int):
    """Returns which of the k best-scored classes are labels.

    Args:
        y_true: labels [images, classes].
        y_pred: scores [images, classes].
        k: at least 1; with fewer classes the rest are misses.

    Returns:
        float32 [images, min(k, classes)], 1 for a hit, best score first.
    """
    positive = _positives(y_true)
    scores = ops.cast(y_pred, "float32")
    # With fewer classes than k the missing places are misses: P divides by k.
    _, best = ops.top_k(scores, min(k, scores.shape[-1]))
    return ops.take_along_axis(positive, best, axis=-1)


def precision_at_k(y_true: Any, y_pred: Any, k: int):
    """Returns P_k = (y . yhat) / k of every image, float32 [images].

    Tencent ML-Images, section 4.1; yhat marks the k best-scored classes.

    Example:
        >>> y_true = [[1, 1, 0, 0]]
        >>> y_pred = [[0.9, 0.1, 0.8, 0.7]]
        >>> precision_at_k(y_true, y_pred, k=2).numpy().tolist()
        [0.5]
    """
    return ops.sum(top_k_hits(y_true, y_pred, k), axis=-1) / k


def recall_at_k(y_true: Any, y_pred: Any, k: int):
    """Returns R_k = (y . yhat) / |y| of every image, float32 [images].

    An image without labels counts 0.
    """
    hits = ops.sum(top_k_hits(y_true, y_pred, k), axis=-1)
    labels = ops.sum(_positives(y_true), axis=-1)
    return hits / ops.maximum(labels, 1.0)


def f1_at_k(y_true: Any, y_pred: Any, k: int):
    """Returns F1_k = 2 P_k R_k / (P_k + R_k) of every image, [images].

    Equal to 2 (y . yhat) / (k + |y|), which needs no case for 0/0 = 0. The
    paper averages F1 over images; it is not the F1 of mean P and mean R.
    """
    hits = ops.sum(top_k_hits(y_true, y_pred, k), axis=-1)
    labels = ops.sum(_positives(y_true), axis=-1)
    return 2.0 * hits / (k + labels)


# By the name that they have in logs, as `f1_at_5`.
FIGURES = {
    "precision": precision_at_k,
    "recall": recall_at_k,
    "f1": f1_at_k,
}


def means_at_k(k: int) -> list[keras.metrics.Metric]:
    """Returns metrics `precision_at_<k>` and so on, means over images."""
    return [
        keras.metrics.MeanMetricWrapper(figure, f"{name}_at_{k}", k=k)
        for name, figure in FIGURES.items()
    ]


def top_k_means() -> list[keras.metrics.Metric]:
    """Returns metrics `top_1` and `top_5`: of images with one class each.

    The share of the images whose class is among the k best-scored.
    """
    return [
        keras.metrics.MeanMetricWrapper(recall_at_k, f"top_{k}", k=k)
        for k in (1, 5)
    ]


def _positives(y_true: Any):
    return ops.cast(ops.cast(y_true, "float32") > 0, "float32")
