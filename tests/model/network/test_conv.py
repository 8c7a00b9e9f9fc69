"""Tests of model.network.conv, beside Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.network.conv import Conv2D, kernel_gradient

CHANNELS, FILTERS = 64, 128


def features(side, channels=CHANNELS, batch=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (batch, side, side, channels)
    return tf.constant(rng.normal(size=shape), tf.float32)


def operations(layer, side):
    """Returns the kinds of operations of a step."""

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(x, training=True))
        return tape.gradient(total, layer.trainable_variables)

    x = features(side, layer.kernel.shape[2])
    graph = step.get_concrete_function(x).graph
    return {operation.type for operation in graph.get_operations()}


def built(side, kernel=3, stride=1, filters=FILTERS, kind=Conv2D, **options):
    options = {"use_bias": False, "dtype": "mixed_bfloat16"} | options
    layer = kind(filters, kernel, stride, **options)
    layer.build((None, side, side, CHANNELS))
    return layer


def test_a_kernel_by_hand():
    seen = np.arange(1.0, 10.0, dtype=np.float32).reshape(1, 3, 3, 1)
    wanted = np.array([[1.0, 0.0], [0.0, 10.0]], np.float32)
    found = kernel_gradient(
        tf.constant(seen), tf.constant(wanted.reshape(1, 2, 2, 1)), 2, 1
    )
    # At each place the pixel there, and ten times the one below right of it.
    np.testing.assert_array_equal(
        found[..., 0, 0], [[1 + 50, 2 + 60], [4 + 80, 5 + 90]]
    )


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("side", [5, 6, 8])
def test_training_is_keras_own(side, size, stride, padding):
    found = []
    for kind, dtype in (
        (Conv2D, "mixed_bfloat16"),
        (keras.layers.Conv2D, "float32"),
    ):
        layer = built(
            side, size, stride, kind=kind, padding=padding, dtype=dtype
        )
        rng = np.random.default_rng(1)
        layer.kernel.assign(rng.normal(size=layer.kernel.shape) / 40)
        x = features(side)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(x, training=True), tf.float32)
            loss = tf.reduce_sum(tf.sin(y))
        found.append([y, *tape.gradient(loss, [x, layer.kernel.value])])
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == tf.float32
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.02 * scale)


def test_small_maps_are_products_of_matrices():
    assert "Conv2DBackpropFilter" not in operations(built(6), 6)
    assert "Conv2DBackpropFilter" not in operations(built(20, stride=2), 20)


@pytest.mark.parametrize(
    ("side", "options"),
    [
        (20, {}),
        (6, {"dtype": "float32"}),
        (6, {"dilation_rate": 2}),
        (6, {"kernel": 1}),
        (6, {"filters": 64}),
        (6, {"kernel": (1, 3)}),
    ],
)
def test_all_else_is_keras_own(side, options):
    layer = built(side, padding="same", **options)
    assert "Conv2DBackpropFilter" in operations(layer, side)


def test_an_answer_is_keras_own():
    ours = built(6, padding="same")
    theirs = built(6, padding="same", kind=keras.layers.Conv2D)
    theirs.kernel.assign(ours.kernel)
    np.testing.assert_array_equal(ours(features(6)), theirs(features(6)))


def test_it_is_read_back():
    layer = built(6, stride=2, name="conv")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is Conv2D
    assert again.get_config() == layer.get_config()
