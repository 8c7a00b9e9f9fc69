"""Tests of model.network.batch_norm, beside Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.network.batch_norm import BatchNormalization

SHAPE = (8, 5, 3, 4)


def features(seed=0):
    """Means and spreads that differ by channel."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    return (noise * [0.1, 1.0, 3.0, 10.0] + [0.2, -2, 0, 8]).astype(np.float32)


def trained(kind, **options):
    """Returns outputs, gradients and weights of two steps of training."""
    layer = kind(momentum=0.9, epsilon=1e-3, **options)
    layer.build(SHAPE)
    layer.gamma.assign([1.0, 2.0, 0.5, -1.0])
    layer.beta.assign([0.0, 1.0, -1.0, 3.0])

    @tf.function
    def step(x, upstream):
        of = [layer.gamma.value, layer.beta.value]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * upstream)
        return y, tape.gradient(loss, [x, *of])

    found = [step(features(i), features(2 + i)) for i in range(2)]
    flat = tf.nest.flatten(found)
    return [np.asarray(tf.cast(t, tf.float32)) for t in flat] + [
        w.numpy() for w in layer.weights
    ]


def test_a_channel_by_hand():
    layer = BatchNormalization(momentum=0.9, epsilon=1e-3)
    x = np.array([1.0, 2.0, 3.0, 6.0], np.float32).reshape(4, 1, 1, 1)
    found = layer(x, training=True)
    # Mean 3, squares of the differences 4, 1, 0, 9: variance 14 / 4.
    wanted = (x - 3) / np.sqrt(3.5 + 1e-3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, [0.3], rtol=1e-5)
    # From 1: not 14 / 3, which the operation says.
    np.testing.assert_allclose(layer.moving_variance, [0.9 + 0.35], rtol=1e-5)


def test_training_is_keras_own():
    ours, theirs = map(
        trained, (BatchNormalization, keras.layers.BatchNormalization)
    )
    for mine, wanted in zip(ours, theirs, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(mine, wanted, rtol=1e-4, atol=1e-5 * scale)


def test_bfloat16_is_as_near_as_its_digits():
    exact = trained(keras.layers.BatchNormalization)
    found = trained(BatchNormalization, dtype="mixed_bfloat16")
    for mine, wanted in zip(found, exact, strict=True):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(mine, wanted, rtol=0.02, atol=0.02 * scale)


@pytest.mark.parametrize(
    "options", [{}, {"synchronized": True}, {"epsilon": 1e-6}]
)
def test_what_is_not_one_operation_is_keras_own(options):
    kinds = BatchNormalization, keras.layers.BatchNormalization
    ours, theirs = (kind(**options) for kind in kinds)
    training = bool(options)
    found = ours(features(), training=training)
    wanted = theirs(features(), training=training)
    np.testing.assert_array_equal(found, wanted)
    for mine, their in zip(ours.weights, theirs.weights, strict=True):
        assert mine.name == their.name
        np.testing.assert_array_equal(mine, their)


def test_a_frozen_one_learns_nothing():
    layer = BatchNormalization()
    layer.build(SHAPE)
    layer.trainable = False
    before = [w.numpy() for w in layer.weights]
    found = layer(features(), training=True)
    np.testing.assert_allclose(found, features() / np.sqrt(1.001), rtol=1e-4)
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_it_is_read_back():
    layer = BatchNormalization(momentum=0.8, epsilon=0.01, name="norm")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is BatchNormalization
    assert again.get_config() == layer.get_config()
