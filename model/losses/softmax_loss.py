"""The loss of one class an image: cross-entropy after a softmax.

With y the one class of an image, z logits, m classes and a label smoothing e:

    L = 1/B sum_i sum_j -t_ij log softmax(z_i)_j
    t_ij = (1 - e) [j = y_i] + e/m

(https://arxiv.org/abs/1512.00567, section 7.)
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from model.losses.config_loss import ConfigLoss


def softmax_cross_entropy(targets, logits, label_smoothing: float = 0.0):
    """Returns the loss of each image, float [batch].

    Args:
        targets: [batch, classes], above 0 for the one class of an image.
        logits: float [batch, classes].
        label_smoothing: e, from 0 to below 1.

    Example:
        >>> loss = softmax_cross_entropy([[0, 1]], [[0.0, 0.0]])
        >>> round(float(loss[0]), 4)
        0.6931
    """
    logits = ops.convert_to_tensor(logits)
    one = ops.cast(ops.convert_to_tensor(targets) > 0, logits.dtype)
    wanted = one * (1.0 - label_smoothing) + label_smoothing / one.shape[-1]
    return -ops.sum(wanted * ops.log_softmax(logits, axis=-1), axis=-1)


@keras.saving.register_keras_serializable(package="tagforest")
class SoftmaxLoss(ConfigLoss):
    """The loss of a `LossConfig` of the kind `softmax`.

    It has the steps of `MultiLabelLoss`; there is nothing to plan, and an
    evaluation smoothes no labels.

    Args:
        config: a LossConfig, or its fields as a dictionary.
    """

    default_name = "softmax_loss"

    def call(self, y_true, y_pred):
        """Returns the loss of each image, float [batch]."""
        return softmax_cross_entropy(y_true, y_pred)

    def make_plan(self, positives, negatives, runs, draws) -> tuple[None, Any]:
        """Returns no plan, and the run lengths as they are."""
        return None, runs

    def plan_loss(self, targets, logits, plan, row_places):
        """Returns L over these rows, a scalar."""
        smoothing = self.config.label_smoothing
        return ops.mean(softmax_cross_entropy(targets, logits, smoothing))
