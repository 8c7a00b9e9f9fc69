"""Tests of model.losses.pair_losses against plain losses, differentiated."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import LossConfig
from model.loss_kinds import LOSS_KINDS
from model.losses.pair_losses import (
    asymmetric_pair,
    cross_entropy_pair,
    focal_pair,
    pair_of,
    softplus,
    weighted_sum,
)
from tests.helpers import plain_losses

LOG2, LOG3 = math.log(2.0), math.log(3.0)
# The plain form of each kind, with its default numbers.
PLAIN = {
    "paper": plain_losses.cross_entropy,
    "released": plain_losses.cross_entropy,
    "bce": plain_losses.cross_entropy,
    "focal": plain_losses.focal,
    "asymmetric": plain_losses.asymmetric,
}
PAIRS = {
    **{
        kind: (pair_of(LossConfig(kind=kind)), plain)
        for kind, plain in PLAIN.items()
        if kind not in ("paper", "released")
    },
    "focal, 1.5": (
        focal_pair(1.5, 0.4),
        lambda y, z: plain_losses.focal(y, z, 1.5, 0.4),
    ),
    "focal, 0": (
        focal_pair(0, 0.5),
        lambda y, z: plain_losses.focal(y, z, 0, 0.5),
    ),
    "asymmetric, no shift": (
        asymmetric_pair(1.0, 2.5, 0.0),
        lambda y, z: plain_losses.asymmetric(y, z, 1.0, 2.5, 0.0),
    ),
    "asymmetric, no focus": (
        asymmetric_pair(0.5, 0.0, 0.2),
        lambda y, z: plain_losses.asymmetric(y, z, 0.5, 0.0, 0.2),
    ),
}


def array(*values):
    return np.array(values, np.float32)


def test_every_kind_has_its_plain_form():
    assert list(PLAIN) == list(LOSS_KINDS)


def test_cross_entropy_by_hand():
    value = cross_entropy_pair().value
    positives = np.array([True, False, True, False])
    loss = value(positives, array(0, 0, LOG3, LOG3))
    expected = [LOG2, LOG2, 2 * LOG2 - LOG3, 2 * LOG2]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    loss = value(positives, array(1e4, -1e4, -1e4, 1e4))
    np.testing.assert_allclose(loss, [0, 0, 1e4, 1e4])


def test_focal_by_hand():
    # p = 1/2: weights 1/4; p = 3/4: 1/16 of the positive, 9/16 of the other.
    positives = np.array([True, False, True, False])
    loss = focal_pair(2.0, 0.25).value(positives, array(0, 0, LOG3, LOG3))
    log4 = 2 * LOG2
    expected = [0.25 / 4 * LOG2, 0.75 / 4 * LOG2]
    expected += [0.25 / 16 * (log4 - LOG3), 0.75 * 9 / 16 * log4]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_focal_is_keras_own():
    targets, logits, *_ = data()
    logits = np.clip(logits, -10, 10)
    found = np.mean(focal_pair(2.0, 0.25).value(targets > 0, logits))
    own = keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=True, gamma=2.0, alpha=0.25, from_logits=True
    )
    truth = (targets > 0).astype(np.float32)
    assert found == pytest.approx(float(own(truth, logits)), rel=1e-4)


def test_asymmetric_by_hand():
    # Positive: log 2 at p = 1/2, no focus. Negative, q = 0.45:
    # 0.45^4 * -log 0.55; below the shift nothing is lost.
    positives = np.array([True, False, False])
    value = asymmetric_pair(0.0, 4.0, 0.05).value
    loss = value(positives, array(0, 0, math.log(0.04 / 0.96)))
    expected = [LOG2, 0.45**4 * -math.log(0.55), 0.0]
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-12)
    value = asymmetric_pair(1.0, 2.0, 0.0).value
    loss = value(positives[:2], array(0, LOG3))
    expected = [LOG2 / 2, 9 / 16 * 2 * LOG2]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("clip", [0.0, 0.05])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 4.0])
def test_values_and_slopes_are_finite_everywhere(clip, gamma):
    logits = array(-1e4, -200, -3, 0, 3, 200, 1e4)
    pairs = focal_pair(gamma, 0.25), asymmetric_pair(gamma, gamma, clip)
    for positive in (False, True):
        positives = np.full(7, positive)
        for pair in pairs:
            assert np.isfinite(pair.value(positives, logits)).all()
            assert np.isfinite(pair.slope(positives, logits)).all()


def data(rows=40, classes=9):
    """Returns targets of 1, 0 and -1, logits with huge ones, and weights."""
    rng = np.random.default_rng(0)
    targets = rng.choice([-1, 0, 1], (rows, classes)).astype(np.int8)
    logits = rng.normal(0, 5, (rows, classes)).astype(np.float32)
    logits[:4, 0] = 1e4, -1e4, 200, -200
    factors = rng.random((rows, classes)).astype(np.float32)
    return targets, logits, factors, rng.random(classes).astype(np.float32)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_sum_and_gradient_are_those_of_the_plain_loss(name, compiled):
    pair, plain = PAIRS[name]
    targets, logits, factors, coefficients = data()

    @tf.function(jit_compile=compiled)
    def fast(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = 3.0 * weighted_sum(
                pair, targets, logits, factors, coefficients
            )
        return total, tape.gradient(total, logits)

    found, slope = fast(tf.constant(logits))
    exact = tf.constant(logits)
    truth = (targets > 0).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(exact)
        pairs = plain(truth, exact) * factors * coefficients
        expected = 3.0 * tf.reduce_sum(pairs)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    expected = tape.gradient(expected, exact)
    np.testing.assert_allclose(slope, expected, rtol=2e-5, atol=1e-6)


def test_softplus_is_exact_to_the_last_bits():
    logits = np.linspace(-80, 30, 100_001, dtype=np.float32)
    expected = np.logaddexp(0.0, logits.astype(np.float64))
    np.testing.assert_allclose(softplus(logits), expected, rtol=4e-7)


def test_weights_of_zero_hide_even_infinite_losses_of_other_pairs():
    targets = np.array([[1, 0]], np.int8)
    logits = np.array([[3e38, 3e38]], np.float32)
    factors = np.array([[1.0, 0.0]], np.float32)
    found = weighted_sum(
        cross_entropy_pair(), targets, logits, factors, np.ones(2, np.float32)
    )
    assert float(found) == 0.0
