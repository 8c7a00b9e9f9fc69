"""The loss of thousands of sigmoids: the paper's, and those beside it.

With y targets, z logits, p = sigmoid(z), B images, m classes:

    L = reduce_j c_j * 1/B sum_i s_ij l(y_ij, z_ij)

c_j is the class coefficient and s_ij says what is used: every positive and
the kept negatives, never an unknown (`adaptive_loss`). `reduce` is the
mean or the sum over the classes, whatever the kind. l is one of
`model.losses.pair_losses`, times eta where y is 1. A training may add
`model.losses.leaf_loss`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
from keras import ops

from model.config import LossConfig
from model.losses import adaptive_loss, pair_losses
from model.losses.config_loss import ConfigLoss
from model.losses.leaf_loss import leaf_cross_entropy


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
class MultiLabelLoss(ConfigLoss):
    """The loss of one `LossConfig`.

    As a Keras loss (called with targets and logits) all coefficients are 1
    and all negatives are used: the loss of the evaluation. The training's
    loss is `make_plan`, once a step, then `plan_loss` for the rows of each
    replica or part of it.

    Targets are int8 [batch, classes]: 1, 0, or -1 for unknown.

    Args:
        config: a LossConfig, or its fields as a dictionary.

    Attributes:
        is_leaf: bool [classes], to be set for `leaf_weight`.
    """

    default_name = "multi_label_loss"
    is_leaf: Any = None

    def __init__(self, config: LossConfig | dict[str, Any], **options: Any):
        super().__init__(config, **options)
        self.switches = self.config.switches
        self._pair = pair_losses.pair_of(self.config)

    def call(self, y_true, y_pred):
        """Returns the loss of each image, float [batch]; has no gradient."""
        # Differentiation would be wrong at a logit of 0, and without a word;
        # so there is none, which Keras refuses to train with.
        logits = ops.stop_gradient(y_pred)
        values = self._pair.value(y_true > 0, logits)
        loss = self._factors(y_true, None) * values
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
        # Drawn for all, used where absent: each class keeps its draw.
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
        loss = pair_losses.weighted_sum(
            self._pair,
            targets,
            logits,
            self._factors(targets, kept),
            # Divided are the classes' factors, not the pairs: there are fewer.
            plan.coefficients / self._divisor(targets),
        )
        if not self.config.leaf_weight:
            return loss
        if self.is_leaf is None:
            raise ValueError("loss.leaf_weight: `is_leaf` was not set")
        of_leaves = leaf_cross_entropy(targets, logits, self.is_leaf)
        return loss + self.config.leaf_weight * ops.mean(of_leaves)

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
