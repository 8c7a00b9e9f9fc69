"""Tests of model.losses.segmentation_loss, by hand-computed numbers."""

import numpy as np
import pytest
import tensorflow as tf

from model.losses.segmentation_loss import (
    VOID,
    pixel_losses,
    segmentation_loss,
    valid_pixels,
)

# -log of 0.2, 0.3 and 0.5: what logits of their logarithms cost.
LOGITS = np.log(np.float32([0.2, 0.3, 0.5]))
COSTS = -LOGITS
MASKS = np.uint8([[[0, 2], [VOID, 1]], [[VOID, VOID], [2, VOID]]])


def equal_logits(masks=MASKS):
    return np.broadcast_to(LOGITS, (*masks.shape, 3))


def test_sum_over_the_valid_pixels_of_each_image():
    losses = pixel_losses(MASKS, equal_logits())
    np.testing.assert_allclose(losses, [COSTS.sum(), COSTS[2]], rtol=1e-6)
    assert valid_pixels(MASKS).numpy().tolist() == [3, 1]


def test_mean_over_the_valid_pixels_of_the_batch():
    loss = segmentation_loss(MASKS, equal_logits(), valid=(3 + 1) / 2)
    assert float(loss) == pytest.approx((COSTS.sum() + COSTS[2]) / 4)


def test_mean_of_equal_parts_is_that_of_the_batch():
    parts = [
        segmentation_loss(MASKS[i : i + 1], equal_logits()[i : i + 1], 2.0)
        for i in range(2)
    ]
    whole = segmentation_loss(MASKS, equal_logits(), 2.0)
    assert float(sum(parts)) / 2 == pytest.approx(float(whole))


def test_logits_are_resized_to_the_mask():
    # Of one row of two, a row of four has 0, 1/4, 3/4 and 1 of the second.
    logits = np.float32([[[[0.0, 0.0], [0.0, 4.0]]]])
    masks = np.uint8([[[1, 1, 1, 1]]])
    expected = sum(np.log1p(np.exp(-z)) for z in (0.0, 1.0, 3.0, 4.0))
    assert float(pixel_losses(masks, logits)[0]) == pytest.approx(expected)


def test_nothing_but_void_is_no_loss_and_no_gradient():
    masks = np.full((2, 2, 2), VOID, np.uint8)
    logits = tf.Variable(equal_logits())
    with tf.GradientTape() as tape:
        loss = segmentation_loss(masks, logits, tf.constant(0.0))
    assert float(loss) == 0
    assert not np.any(tape.gradient(loss, logits))


def test_gradient_is_softmax_minus_truth_over_the_valid_pixels():
    logits = tf.Variable(equal_logits())
    with tf.GradientTape() as tape:
        loss = segmentation_loss(MASKS, logits, 2.0)
    slopes = tape.gradient(loss, logits).numpy()
    np.testing.assert_allclose(slopes[0, 0, 1], [0.05, 0.075, -0.125], 1e-5)
    assert not slopes[0, 1, 0].any()
