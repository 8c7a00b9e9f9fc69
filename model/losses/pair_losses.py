"""The hot loop of the training: weighted sums over all (image, class) pairs.

For compilers: `weighted_sum` makes one pass over the pairs for the sum and
one for its gradient, which is written out, so that nothing is kept between
the two. Uncompiled, every operation here is a pass of its own.

The tests hold each pair against its plain form, which is differentiated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from model.config import LossConfig
from model.loss_kinds import LOSS_KINDS

# Of log(1 + e) / e on [0, 1], degree 8, for the least relative error: 2.1e-7
# in float32. Compilers' log1p takes three times as long on a CPU, and
# TensorFlow makes a log1p of every log(1 + e).
_LOG1P = (
    0.99999994,
    -0.499994934,
    0.333191007,
    -0.248429984,
    0.191060469,
    -0.136632949,
    0.0782262236,
    -0.0295052603,
    0.00523266941,
)
# Whole exponents up to here are products.
_MOST_FACTORS = 8


class Pair(NamedTuple):
    """A loss of one (image, class) pair and its derivative by the logit.

    Attributes:
        value, slope: from bool [batch, classes], whether positive, and
            float32 logits to float32, all of one shape.
    """

    value: Callable[[Any, Any], Any]
    slope: Callable[[Any, Any], Any]


def pair_of(config: LossConfig) -> Pair:
    """Returns the pair of the config's kind, without eta."""
    kind = LOSS_KINDS[config.kind]
    names = [parameter.name for parameter in kind.pair_parameters]
    return globals()[kind.pair](**{n: getattr(config, n) for n in names})


def weighted_sum(pair: Pair, targets, logits, factors, coefficients):
    """Returns sum_ij c_j f_ij l_ij over images and classes, a scalar.

    Args:
        pair: l.
        targets: [batch, classes]; above 0 is a positive.
        logits: float32 [batch, classes]; the only one with a gradient.
        factors: float32 [batch, classes].
        coefficients: float32 [classes].
    """

    @ops.custom_gradient
    def total(logits):
        positive = targets > 0

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            slope = factors * pair.slope(positive, logits)
            return (upstream * coefficients) * slope

        values = factors * pair.value(positive, logits)
        # A product: compilers reduce one element after the other on a CPU.
        by_image = ops.matmul(values, coefficients[:, None])
        return ops.sum(by_image), gradient

    return total(logits)


def softplus(logits):
    """Returns log(1 + e^z) to 2.1e-7; not to be differentiated (at 0)."""
    return ops.maximum(logits, 0.0) + _log1p(ops.exp(-ops.abs(logits)))


def cross_entropy_pair() -> Pair:
    """Returns cross-entropy, -y log p - (1 - y) log(1 - p)."""

    def slope(positive, logits):
        return _sigmoid(logits) - ops.cast(positive, logits.dtype)

    return Pair(lambda pos, z: softplus(_wrong(pos, z)), slope)


def focal_pair(focal_gamma: float, focal_alpha: float) -> Pair:
    """Returns -a (1 - q)^gamma log q, q the probability of what is true.

    a is alpha for positives and 1 - alpha for negatives (Lin et al. 2017,
    https://arxiv.org/abs/1708.02002, equation 5).
    """
    focus, focus_slope = _focus(focal_gamma)

    def weight(positive):
        return ops.where(positive, focal_alpha, 1.0 - focal_alpha)

    def value(positive, logits):
        return weight(positive) * focus(_wrong(positive, logits))

    def slope(positive, logits):
        by_wrong = weight(positive) * focus_slope(_wrong(positive, logits))
        return _wrong(positive, by_wrong)

    return Pair(value, slope)


def asymmetric_pair(
    positive_gamma: float, negative_gamma: float, clip: float
) -> Pair:
    """Returns the asymmetric loss (https://arxiv.org/abs/2009.14119).

    Positives: -(1 - p)^g+ log p. Negatives: -q^g- log(1 - q) with the
    probability shifted, q = max(p - clip, 0). Slopes go through the weights,
    as the paper's equations say.
    """
    missed, missed_slope = _focus(positive_gamma)
    invented, invented_slope = _focus(negative_gamma)
    if clip:
        invented, invented_slope = _shifted(negative_gamma, clip)

    def value(positive, logits):
        return ops.where(positive, missed(-logits), invented(logits))

    def slope(positive, logits):
        return ops.where(
            positive, -missed_slope(-logits), invented_slope(logits)
        )

    return Pair(value, slope)


def _focus(gamma: float):
    """Returns s^g log(1 + e^z) with s = sigmoid(z), and its derivative."""

    def value(logits):
        return _power(_sigmoid(logits), gamma) * softplus(logits)

    def slope(logits):
        score, rest = _both_sigmoids(logits)
        inner = score
        if gamma:
            inner = inner + gamma * rest * softplus(logits)
        return _power(score, gamma) * inner

    return value, slope


def _shifted(gamma: float, clip: float):
    """Returns -q^g log(1 - q), q = max(p - clip, 1e-8), and its derivative."""

    def value(logits):
        shifted = ops.maximum(_sigmoid(logits) - clip, 1e-8)
        return _power(shifted, gamma) * -ops.log(1.0 - shifted)

    def slope(logits):
        score, rest = _both_sigmoids(logits)
        shifted = ops.maximum(score - clip, 1e-8)
        by_shifted = _power(shifted, gamma) / (1.0 - shifted)
        if gamma:
            log = -ops.log(1.0 - shifted)
            power = _power(shifted, gamma - 1.0)
            by_shifted = by_shifted + gamma * power * log
        inner = score * rest * by_shifted
        # Where the maximum is the constant nothing depends on the logit.
        return ops.where(score - clip > 1e-8, inner, 0.0)

    return value, slope


def _wrong(positive, values):
    return ops.where(positive, -values, values)


def _sigmoid(logits):
    # Compilers' own sigmoid is no faster, and this one is exact for small p.
    return 1.0 / (1.0 + ops.exp(-logits))


def _both_sigmoids(logits):
    """Returns sigmoid(z) and sigmoid(-z), exact where they are small."""
    # e^89 is infinite in float32, and infinite * 0 is no number.
    odds = ops.exp(ops.minimum(-logits, 80.0))
    score = 1.0 / (1.0 + odds)
    return score, odds * score


def _log1p(values):
    total = _LOG1P[-1]
    for coefficient in _LOG1P[-2::-1]:
        total = total * values + coefficient
    return total * values


def _power(base, exponent: float):
    """Returns base^exponent for a base of 0 or above."""
    if exponent in range(_MOST_FACTORS + 1):
        product = ops.ones_like(base)
        for _ in range(int(exponent)):
            product = product * base
        return product
    # The slope of base^g at 0 is infinite for g below 1.
    return ops.exp(exponent * ops.log(ops.maximum(base, 1e-30)))
