"""Adaptive weighted cross-entropy for thousands of sigmoids.

Stateless functions in `keras.ops`. What they need from outside comes as an
argument: the positives of the *global* batch, the run lengths so far, and
the random numbers. `Tagger` owns the state and draws; `AdaptiveLoss` binds
the functions to a `LossConfig`.

Notation, with y targets, z logits, p = sigmoid(z), B images, m classes:

    WCE_ij = -eta y_ij log p_ij - (1 - y_ij) log(1 - p_ij)
    L      = reduce_j c_j * 1/B sum_i s_ij WCE_ij

c_j is the class coefficient, s_ij says what is used: every positive and the
kept negatives; never an unknown.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
from keras import ops

from model.config import LossConfig


def weighted_cross_entropy(targets, logits, positive_weight: float = 1.0):
    """Returns WCE, element by element, without overflow for any logit.

    Args:
        targets: [batch, classes] in [0, 1].
        logits: float [batch, classes].
        positive_weight: eta.

    Example:
        >>> logits = ops.zeros((1, 2))
        >>> loss = weighted_cross_entropy([[1.0, 0.0]], logits, 12.0)
        >>> [round(float(value), 4) for value in loss[0]]
        [8.3178, 0.6931]
    """
    targets = ops.cast(targets, logits.dtype)
    weight = 1.0 + (positive_weight - 1.0) * targets
    return (1.0 - targets) * logits + weight * ops.softplus(-logits)


def update_runs(runs, present, selected, config: LossConfig):
    """Returns the run lengths after one more batch.

    Args:
        runs: float [2, classes]: batches in a row with a positive of the
            class, and without.
        present: float [classes]: 1 where the global batch has a positive.
        selected: float [classes]: 1 where a class without a positive is
            updated all the same.

    Returns:
        float [2, classes]. `released` counts only selected negative batches.
    """
    counted = selected if config.coefficient == "released" else 1.0
    absent = 1.0 - present
    return ops.stack([(runs[0] + 1.0) * present, (runs[1] + counted) * absent])


def class_coefficients(runs, present, selected, config: LossConfig):
    """Returns c_j, float [classes], for run lengths that `update_runs` gave.

    `paper`, with t the length of the present run of either kind:
    max(decay^(t-1), floor). `released`, with P and N the two lengths and
    max' = value if above the floor, else the floor:

        positive: max'(-log10((0.01 + P) / 10), 0.01)
        negative: max'(-log10((8 + N) / 10), 0.001)

    A class without a positive counts only where selected.
    """
    if config.coefficient == "paper":
        exponent = math.log(max(config.decay, 1e-30))
        run = ops.maximum(runs[0], runs[1])
        weight = ops.exp(exponent * (run - 1.0))
        weight = ops.maximum(weight, config.floor)
        positive, negative = weight, weight
    elif config.coefficient == "released":
        positive = _minus_log10(runs[0], config.positive_offset)
        positive = ops.maximum(positive, config.positive_floor)
        negative = _minus_log10(runs[1], config.negative_offset)
        negative = ops.maximum(negative, config.negative_floor)
    else:
        positive = negative = ops.ones_like(present)
    return present * positive + (1.0 - present) * selected * negative


def kept_fraction(positives, images: int, ratio: float):
    """Returns the part of each class's negatives to keep, float [classes].

    Args:
        positives: float [classes], positives in the global batch.
        images: in the global batch.
        ratio: negatives a positive; classes without a positive keep all.
    """
    images = ops.cast(images, positives.dtype)
    negatives = ops.maximum(images - positives, 1.0)
    fraction = ops.minimum(ratio * positives / negatives, 1.0)
    return ops.where(positives > 0, fraction, ops.ones_like(fraction))


def kept_negatives(row_places, class_shifts, fraction):
    """Returns which (image, class) pairs a down-sampling keeps.

    Systematic sampling: the images stand in random order around a circle,
    each class keeps an arc of length `fraction` from its own random start.
    Within a class it is a simple random sample of a size within one of the
    wished, for B + m random numbers instead of B * m, and any replica can
    compute its own rows.

    Args:
        row_places: float [batch] in [0, 1): a random permutation of i / B.
        class_shifts: float [classes] in [0, 1).
        fraction: float [classes].

    Returns:
        bool [batch, classes].
    """
    place = row_places[:, None] + class_shifts[None, :]
    return place - ops.floor(place) < fraction[None, :]


def adaptive_loss(targets, logits, coefficients, kept, config: LossConfig):
    """Returns L, a scalar.

    Args:
        targets: int8 [batch, classes]: 1, 0, or -1 for unknown.
        logits: float32 [batch, classes].
        coefficients: float [classes], from `class_coefficients`.
        kept: bool [batch, classes], or None for all.
    """
    truth = ops.cast(targets > 0, logits.dtype)
    loss = weighted_cross_entropy(truth, logits, config.positive_weight)
    used = targets >= 0
    if kept is not None:
        used = ops.logical_and(used, ops.logical_or(targets > 0, kept))
    loss = ops.where(used, loss, ops.zeros_like(loss))
    by_class = ops.mean(loss, axis=0) * coefficients
    if config.reduction == "mean":
        return ops.mean(by_class)
    return ops.sum(by_class)


@keras.saving.register_keras_serializable(package="tagforest")
class AdaptiveLoss:
    """The functions above under one `LossConfig`.

    Args:
        config: a LossConfig, or its fields as a dictionary.
    """

    def __init__(self, config: LossConfig | dict[str, Any]):
        if isinstance(config, dict):
            config = LossConfig(**config)
        self.config = config

    def __call__(
        self, targets, logits, positives, images, runs, draws
    ) -> tuple[Any, Any]:
        """Returns the loss of these rows and the new run lengths.

        Args:
            targets: int8 [batch, classes], the rows of this replica.
            logits: float32 [batch, classes].
            positives: float [classes], counted over the global batch.
            images: in the global batch.
            runs: float [2, classes], before this batch.
            draws: float [batch], [classes], [classes], in [0, 1): places of
                these rows, shifts of the classes, and selection; equal on
                all replicas but for the rows.
        """
        row_places, class_shifts, selection = draws
        config = self.config
        present = ops.cast(positives > 0, logits.dtype)
        selected = ops.cast(selection < config.absent_probability, logits.dtype)
        runs = update_runs(runs, present, selected, config)
        weights = class_coefficients(runs, present, selected, config)
        kept = None
        if config.negative_ratio:
            part = kept_fraction(positives, images, config.negative_ratio)
            kept = kept_negatives(row_places, class_shifts, part)
        return adaptive_loss(targets, logits, weights, kept, config), runs

    def evaluate(self, targets, logits):
        """Returns the loss with all coefficients 1 and all negatives."""
        ones = ops.ones_like(logits[0])
        return adaptive_loss(targets, logits, ones, None, self.config)

    def get_config(self) -> dict[str, Any]:
        return {"config": dataclasses.asdict(self.config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AdaptiveLoss:
        return cls(**config)


def _minus_log10(run, offset: float):
    return -ops.log10((offset + run) / 10.0)
