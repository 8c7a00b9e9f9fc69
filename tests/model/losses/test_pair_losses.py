"""Tests of model.losses.pair_losses against plain losses, differentiated."""

import numpy as np
import pytest
import tensorflow as tf

from model.losses import multi_label_loss
from model.losses.pair_losses import (
    asymmetric_pair,
    cross_entropy_pair,
    focal_pair,
    softplus,
    weighted_sum,
)

PAIRS = {
    "cross-entropy": (
        cross_entropy_pair(),
        multi_label_loss.weighted_cross_entropy,
    ),
    "focal": (focal_pair(2.0, 0.25), multi_label_loss.focal),
    "focal, 1.5": (
        focal_pair(1.5, 0.4),
        lambda y, z: multi_label_loss.focal(y, z, 1.5, 0.4),
    ),
    "focal, 0": (
        focal_pair(0, 0.5),
        lambda y, z: multi_label_loss.focal(y, z, 0, 0.5),
    ),
    "asymmetric": (
        asymmetric_pair(0.0, 4.0, 0.05),
        multi_label_loss.asymmetric,
    ),
    "asymmetric, no shift": (
        asymmetric_pair(1.0, 2.5, 0.0),
        lambda y, z: multi_label_loss.asymmetric(y, z, 1.0, 2.5, 0.0),
    ),
    "asymmetric, no focus": (
        asymmetric_pair(0.5, 0.0, 0.2),
        lambda y, z: multi_label_loss.asymmetric(y, z, 0.5, 0.0, 0.2),
    ),
}


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
