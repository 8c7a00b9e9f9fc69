"""Per-image precision, recall and F1 at k, and macro average precision.

Labels are multi-hot [images, classes]; a value above 0 is a positive. Scores
are probabilities [images, classes]. Equal scores rank by class index, lower
first, so that a result never depends on chance.

The labels of a validation image are seldom complete: all figures here are
about observed labels and understate the model (Tencent ML-Images, arXiv
1901.01703, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

Mask = Sequence[bool] | np.ndarray | None

# Probabilities beyond these count as equal in `MacroAveragePrecision`.
_SMALLEST = 1e-7
_LARGEST_LOGIT = 16.2


def top_k_hits(y_true: Any, y_pred: Any, k: int, class_mask: Mask = None):
    """Returns which of the k best-scored classes are labels.

    Args:
        y_true: labels [images, classes].
        y_pred: scores [images, classes].
        k: at least 1; where fewer classes are allowed, the rest are misses.
        class_mask: bool [classes], the classes that may be chosen.

    Returns:
        float32 [images, min(k, classes)], 1 for a hit, best score first.
    """
    positive = _positives(y_true, class_mask)
    scores = ops.cast(y_pred, "float32")
    if class_mask is not None:
        scores = ops.where(_mask(class_mask), scores, -np.inf)
    _, best = ops.top_k(scores, min(k, scores.shape[-1]))
    return ops.take_along_axis(positive, best, axis=-1)


def precision_at_k(y_true: Any, y_pred: Any, k: int, class_mask: Mask = None):
    """Returns P_k = (y . yhat) / k of every image, float32 [images].

    Tencent ML-Images, section 4.1; yhat marks the k best-scored classes.

    Example:
        >>> y_true = [[1, 1, 0, 0]]
        >>> y_pred = np.array([[0.9, 0.1, 0.8, 0.7]])
        >>> precision_at_k(y_true, y_pred, k=2).numpy().tolist()
        [0.5]
    """
    return ops.sum(top_k_hits(y_true, y_pred, k, class_mask), axis=-1) / k


def recall_at_k(y_true: Any, y_pred: Any, k: int, class_mask: Mask = None):
    """Returns R_k = (y . yhat) / |y| of every image, float32 [images].

    An image without labels counts 0.
    """
    hits = ops.sum(top_k_hits(y_true, y_pred, k, class_mask), axis=-1)
    labels = ops.sum(_positives(y_true, class_mask), axis=-1)
    return hits / ops.maximum(labels, 1.0)


def f1_at_k(y_true: Any, y_pred: Any, k: int, class_mask: Mask = None):
    """Returns F1_k = 2 P_k R_k / (P_k + R_k) of every image, [images].

    Equal to 2 (y . yhat) / (k + |y|), which needs no case for 0/0 = 0. The
    paper averages F1 over images; it is not the F1 of mean P and mean R.
    """
    hits = ops.sum(top_k_hits(y_true, y_pred, k, class_mask), axis=-1)
    labels = ops.sum(_positives(y_true, class_mask), axis=-1)
    return 2.0 * hits / (k + labels)


def best_is_right(y_true: Any, y_pred: Any, class_mask: Mask = None):
    """Returns 1 where the best-scored (allowed) class is a label, [images].

    With the leaves as `class_mask`: the best-scored leaf class is right.
    """
    return precision_at_k(y_true, y_pred, 1, class_mask)


def average_precision(positives: Any, totals: Any):
    """Returns the average precision of every class, from score histograms.

    AP = sum over bins, best first, of (recall gained) x (precision down to
    and with this bin): scores in one bin are ties.

    Args:
        positives: positive images [classes, bins], lowest scores first.
        totals: all images [classes, bins].

    Returns:
        float32 [classes], 0 for a class without positives.
    """
    true = ops.cumsum(ops.flip(positives, axis=-1), axis=-1)
    chosen = ops.cumsum(ops.flip(totals, axis=-1), axis=-1)
    precision = true / ops.maximum(chosen, 1.0)
    gained = ops.flip(positives, axis=-1)
    images = ops.maximum(true[:, -1], 1.0)
    return ops.sum(gained * precision, axis=-1) / images


class _MeanAtK(keras.metrics.Mean):
    """The mean over images of a figure at k.

    Args:
        k: how many of the best-scored classes are chosen, at least 1.
        class_mask: bool [classes], the classes that count; all by default.
        name: by default the figure and k, as `f1_at_5`.
    """

    figure = ""

    def __init__(self, k=5, class_mask=None, name=None, dtype=None):
        if k < 1:
            raise ValueError(f"k must be at least 1. Received: k={k}")
        super().__init__(name=name or f"{self.figure}_at_{k}", dtype=dtype)
        self.k = int(k)
        self.class_mask = (
            None if class_mask is None else [bool(c) for c in class_mask]
        )

    def of_images(self, y_true, y_pred):
        """Returns the figure of every image, float32 [images]."""
        figure = globals()[f"{self.figure}_at_k"]
        return figure(y_true, y_pred, self.k, self.class_mask)

    def update_state(self, y_true, y_pred, sample_weight=None):
        values = self.of_images(y_true, y_pred)
        return super().update_state(values, sample_weight)

    def get_config(self):
        own = {"k": self.k, "class_mask": self.class_mask}
        return {**super().get_config(), **own}


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


@keras.saving.register_keras_serializable("tagforest")
class MacroAveragePrecision(keras.metrics.Metric):
    """Mean average precision over the classes that have positives.

    Streams: it counts scores in bins, so its memory is 8 x classes x bins
    bytes however many images come (46 MB for 11,166 classes). Bins are equal
    steps of the logit, since most of 11,166 probabilities lie near 0; scores
    in one bin (odds within 6.5 % at 512 bins) are ties, as are scores below
    1e-7.

    Args:
        classes: number of classes, at least 1.
        bins: at least 2.
    """

    def __init__(
        self, classes, bins=512, name="macro_average_precision", dtype=None
    ):
        super().__init__(name=name, dtype=dtype)
        if classes < 1 or bins < 2:
            raise ValueError(
                "classes must be at least 1 and bins at least 2. "
                f"Received: classes={classes}, bins={bins}"
            )
        self.classes, self.bins = int(classes), int(bins)
        self.positives = self._histogram("positives")
        self.totals = self._histogram("totals")

    def _histogram(self, name):
        shape = (self.classes, self.bins)
        return self.add_variable(shape, initializer="zeros", name=name)

    def update_state(self, y_true, y_pred, sample_weight=None):
        cells = self._bins_of(y_pred)
        cells += ops.arange(self.classes, dtype="int32") * self.bins
        positive = _positives(y_true, None)
        weights = ops.ones_like(positive)
        if sample_weight is not None:
            weights *= ops.cast(sample_weight, "float32")[:, None]
        self.positives.assign_add(self._count(cells, positive * weights))
        self.totals.assign_add(self._count(cells, weights))

    def _bins_of(self, y_pred):
        scores = ops.cast(y_pred, "float32")
        scores = ops.clip(scores, _SMALLEST, 1.0 - _SMALLEST)
        logits = ops.log(scores) - ops.log1p(-scores)
        width = 2.0 * _LARGEST_LOGIT / self.bins
        return ops.cast((logits + _LARGEST_LOGIT) // width, "int32")

    def _count(self, cells, weights):
        counts = ops.segment_sum(
            ops.reshape(weights, (-1,)),
            ops.reshape(cells, (-1,)),
            num_segments=self.classes * self.bins,
        )
        return ops.reshape(counts, (self.classes, self.bins))

    def of_classes(self):
        """Returns average precision [classes] and positives [classes]."""
        precision = average_precision(self.positives, self.totals)
        return precision, ops.sum(self.positives, axis=-1)

    def result(self):
        precision, positives = self.of_classes()
        have = ops.cast(positives > 0, "float32")
        return ops.sum(precision * have) / ops.maximum(ops.sum(have), 1.0)

    def get_config(self):
        own = {"classes": self.classes, "bins": self.bins}
        return {**super().get_config(), **own}


def _mask(class_mask: Mask):
    return ops.convert_to_tensor(np.asarray(class_mask, bool))


def _positives(y_true: Any, class_mask: Mask):
    positive = ops.cast(y_true, "float32") > 0
    if class_mask is not None:
        positive = ops.logical_and(positive, _mask(class_mask))
    return ops.cast(positive, "float32")
