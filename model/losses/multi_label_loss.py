"""Losses for thousands of sigmoids: the paper's, and those beside it.

Stateless functions in `keras.ops`, and one class that binds them to a
`LossConfig`. With y targets, z logits, p = sigmoid(z), B images, m classes:

    L = reduce_j c_j * 1/B sum_i s_ij l(y_ij, z_ij)

c_j is the class coefficient and s_ij says what is used: every positive and
the kept negatives, never an unknown (`adaptive_loss`). `reduce` is the
mean or the sum over the classes, whatever the kind. l is one of

    cross-entropy  -eta y log p - (1 - y) log(1 - p)
    focal          with weights falling as p nears y
    asymmetric     the same, more for negatives than for positives

The functions here are l in its plain form; the training's sums over all
pairs, which must be fast, are in `model.losses.pair_losses`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import keras
from keras import ops

from model.config import LossConfig
from model.losses import adaptive_loss, pair_losses


def weighted_cross_entropy(targets, logits, positive_weight: float = 1.0):
    """Returns -eta y log p - (1 - y) log(1 - p), for any logit.

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


def focal(targets, logits, gamma: float = 2.0, alpha: float = 0.25):
    """Returns -a (1 - q)^gamma log q, q the probability of what is true.

    a is alpha for positives and 1 - alpha for negatives (Lin et al. 2017,
    https://arxiv.org/abs/1708.02002, equation 5).

    Args:
        targets: [batch, classes]; above 0 is a positive.
        logits: float [batch, classes].
    """
    positive = targets > 0
    wrong = ops.where(positive, -logits, logits)
    weight = ops.where(positive, alpha, 1.0 - alpha)
    return weight * _sigmoid_power(wrong, gamma) * ops.softplus(wrong)


def asymmetric(
    targets,
    logits,
    positive_gamma: float = 0.0,
    negative_gamma: float = 4.0,
    clip: float = 0.05,
):
    """Returns the asymmetric loss (https://arxiv.org/abs/2009.14119).

    Positives: -(1 - p)^g+ log p. Negatives: -q^g- log(1 - q) with the
    probability shifted, q = max(p - clip, 0). Gradients go through the
    weights, as the paper's equations say.

    Args:
        targets: [batch, classes]; above 0 is a positive.
        logits: float [batch, classes].
    """
    missed = _sigmoid_power(-logits, positive_gamma) * ops.softplus(-logits)
    if clip:
        # Never 0: the gradient of 0^g is no number for g below 1.
        shifted = ops.maximum(ops.sigmoid(logits) - clip, 1e-8)
        invented = shifted**negative_gamma * -ops.log(1.0 - shifted)
    else:
        invented = _sigmoid_power(logits, negative_gamma)
        invented = invented * ops.softplus(logits)
    return ops.where(targets > 0, missed, invented)


class Plan(NamedTuple):
    """What one step does with each class; equal on all replicas.

    Attributes:
        coefficients: float [classes], c_j.
        shifts: float [classes], starts of the arcs.
        fraction: float [classes], of the negatives to keep; None keeps all.
    """

    coefficients: Any
    shifts: Any
    fraction: Any


@keras.saving.register_keras_serializable(package="tagforest")
class MultiLabelLoss(keras.losses.Loss):
    """The functions above under one `LossConfig`.

    As a Keras loss (called with targets and logits) all coefficients are 1
    and all negatives are used: the loss of the evaluation. The training's
    loss is `make_plan`, once a step, then `plan_loss` for the rows of each
    replica or part of it.

    Targets are int8 [batch, classes]: 1, 0, or -1 for unknown.

    Args:
        config: a LossConfig, or its fields as a dictionary.
    """

    def __init__(
        self,
        config: LossConfig | dict[str, Any],
        name: str = "multi_label_loss",
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if isinstance(config, dict):
            config = LossConfig(**config)
        self.config = config
        self.switches = config.switches

    def call(self, y_true, y_pred):
        """Returns the loss of each image, float [batch]."""
        loss = self._factors(y_true, None) * self._by_pair(y_true, y_pred)
        if self.switches.reduction == "mean":
            return ops.mean(loss, axis=1)
        return ops.sum(loss, axis=1)

    def make_plan(self, positives, negatives, runs, draws) -> tuple[Plan, Any]:
        """Returns the plan for a batch and the run lengths after it.

        Args:
            positives, negatives: float [classes], counted over the global
                batch.
            runs: float [2, classes], before this batch.
            draws: float [classes] twice, in [0, 1): shifts and selection.
        """
        shifts, selection = draws
        present = ops.cast(positives > 0, "float32")
        below = self.switches.absent_probability
        selected = ops.cast(selection < below, "float32")
        runs = adaptive_loss.update_runs(
            runs, present, selected, self.config.kind
        )
        coefficients = adaptive_loss.class_coefficients(
            runs, present, selected, self.config
        )
        fraction = None
        if self.switches.negative_ratio:
            fraction = adaptive_loss.kept_fraction(
                positives, negatives, self.switches.negative_ratio
            )
        return Plan(coefficients, shifts, fraction), runs

    def plan_loss(self, targets, logits, plan: Plan, row_places):
        """Returns L over these rows, a scalar.

        Args:
            targets: int8 [batch, classes].
            logits: float32 [batch, classes].
            plan: of the global batch.
            row_places: float [batch] in [0, 1), see `kept_negatives`.
        """
        kept = None
        if plan.fraction is not None:
            kept = adaptive_loss.kept_negatives(
                row_places, plan.shifts, plan.fraction
            )
        return pair_losses.weighted_sum(
            self._pair(),
            targets,
            logits,
            self._factors(targets, kept),
            plan.coefficients / self._divisor(targets),
        )

    def get_config(self) -> dict[str, Any]:
        values = dataclasses.asdict(self.config)
        return {**super().get_config(), "config": values}

    def _by_pair(self, targets, logits):
        """Returns l, float [batch, classes], without eta."""
        config = self.config
        if config.kind == "focal":
            return focal(
                targets, logits, config.focal_gamma, config.focal_alpha
            )
        if config.kind == "asymmetric":
            return asymmetric(
                targets,
                logits,
                config.positive_gamma,
                config.negative_gamma,
                config.clip,
            )
        return weighted_cross_entropy(targets > 0, logits)

    def _pair(self) -> pair_losses.Pair:
        """Returns l and its derivative, without eta."""
        config = self.config
        if config.kind == "focal":
            return pair_losses.focal_pair(
                config.focal_gamma, config.focal_alpha
            )
        if config.kind == "asymmetric":
            return pair_losses.asymmetric_pair(
                config.positive_gamma, config.negative_gamma, config.clip
            )
        return pair_losses.cross_entropy_pair()

    def _factors(self, targets, kept):
        """Returns eta^y s_ij, float32 [batch, classes]."""
        used = targets == 0
        if kept is not None:
            used = ops.logical_and(used, kept)
        weight = self.switches.positive_weight
        return ops.where(targets > 0, weight, ops.where(used, 1.0, 0.0))

    def _divisor(self, targets):
        """Returns B, times m if so reduced."""
        images, classes = ops.shape(targets)
        images = ops.cast(images, "float32")
        return images * classes if self.switches.reduction == "mean" else images


def _sigmoid_power(logits, gamma: float):
    """Returns sigmoid(z)^gamma; its gradient is finite for any logit."""
    return ops.exp(-gamma * ops.softplus(-logits))
