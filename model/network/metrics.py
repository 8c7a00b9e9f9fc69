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


class _MeanAtK(keras.metrics.Mean):
    """The mean over images of a figure at k.

    Args:
        k: how many of the best-scored classes are chosen, at least 1.
        name: by default the figure and k, as `f1_at_5`.
    """

    figure = ""

    def __init__(self, k=5, name=None, dtype=None):
        if k < 1:
            raise ValueError(f"k must be at least 1. Received: k={k}")
        super().__init__(name=name or f"{self.figure}_at_{k}", dtype=dtype)
        self.k = int(k)

    def of_images(self, y_true, y_pred):
        """Returns the figure of every image, float32 [images]."""
        # By name, so that the class is a word and the formula stands above.
        figure = globals()[f"{self.figure}_at_k"]
        return figure(y_true, y_pred, self.k)

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = self.of_images(y_true, y_pred)
        return super().update_state(values, sample_weight)

    def get_config(self):
        return {**super().get_config(), "k": self.k}


@keras.saving.register_keras_serializable("tagforest")
class PrecisionAtK(_MeanAtK):
    """Mean of `precision_at_k` over images."""

    figure = "precision"


@keras.saving.register_keras_serializable("tagforest")
class RecallAtK(_MeanAtK):
    """Mean of `recall_at_k` over images."""

    figure = "recall"


@keras.saving.register_keras_serializable("tagforest")
class F1AtK(_MeanAtK):
    """Mean of `f1_at_k` over images."""

    figure = "f1"


def _positives(y_true: Any):
    return ops.cast(ops.cast(y_true, "float32") > 0, "float32")
