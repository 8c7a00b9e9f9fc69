"""Losses in their plain form, differentiated: the reference."""

from __future__ import annotations

from keras import ops


def cross_entropy(targets, logits):
    """Returns -y log p - (1 - y) log(1 - p), for any logit.

    Args:
        targets: [batch, classes] in [0, 1].
        logits: float [batch, classes].
    """
    targets = ops.cast(targets, logits.dtype)
    return (1.0 - targets) * logits + ops.softplus(-logits)


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


def _sigmoid_power(logits, gamma: float):
    """Returns sigmoid(z)^gamma; its gradient is finite for any logit."""
    return ops.exp(-gamma * ops.softplus(-logits))
