"""Tests of model.training.muon."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import ScheduleConfig
from model.network.tagger import Tagger
from model.training.muon import is_hidden_kernel
from model.training.schedules import make_optimizer

RATE, MOMENTUM = 0.5, 0.9
SCHEDULE = ScheduleConfig(
    optimizer="muon",
    learning_rate=RATE,
    warmup=0.0,
    decay="constant",
    momentum=MOMENTUM,
    weight_decay=0.0,
)
A, B, C = 3.4445, -4.7750, 2.0315


def variable(path, shape):
    found = keras.Variable(
        np.zeros(shape, np.float32), name=path.rpartition("/")[2]
    )
    found._path = path
    return found


def iterated(matrix):
    """The published iteration, in float64, of a matrix of at most as many
    rows as columns."""
    x = matrix / np.linalg.norm(matrix)
    for _ in range(5):
        gram = x @ x.T
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x


def steps_of(weight, gradients, schedule=SCHEDULE):
    optimizer = make_optimizer(schedule, 100)
    optimizer.build([weight])
    for gradient in gradients:
        optimizer.apply_gradients([(gradient.astype(np.float32), weight)])
    return weight.numpy(), optimizer


def test_a_kernel_of_a_convolution_is_a_matrix_of_its_outputs():
    first, second = np.random.default_rng(0).normal(size=(2, 3, 3, 4, 6))
    found, _ = steps_of(
        variable("stem_conv/kernel", (3, 3, 4, 6)), [first, second]
    )
    wanted, momentum = np.zeros((36, 6)), np.zeros((36, 6))
    for gradient in (first.reshape(36, 6), second.reshape(36, 6)):
        momentum = MOMENTUM * momentum + gradient
        ahead = gradient + MOMENTUM * momentum
        wanted -= RATE * np.sqrt(36 / 6) * iterated(ahead.T).T
    np.testing.assert_allclose(found.reshape(36, 6), wanted, atol=1e-4)
    # All directions move alike, however unlike the gradients are.
    singular = np.linalg.svd(iterated(ahead.T), compute_uv=False)
    assert 0.6 < singular.min() <= singular.max() < 1.3


def test_of_a_network_in_bfloat16_it_is_as_near_as_its_digits():
    gradient = np.random.default_rng(0).normal(size=(3, 3, 4, 6))
    weight = variable("stem_conv/kernel", gradient.shape)
    optimizer = make_optimizer(SCHEDULE, 100, "mixed_bfloat16")
    optimizer.build([weight])
    optimizer.apply_gradients([(gradient.astype(np.float32), weight)])
    matrix = gradient.reshape(36, 6)
    wanted = -RATE * np.sqrt(36 / 6) * iterated(matrix.T).T
    found = weight.numpy().reshape(36, 6)
    np.testing.assert_allclose(found, wanted, atol=0.05 * np.abs(wanted).max())
    assert np.abs(found - wanted).max() > 1e-4


def test_a_wide_dense_kernel_keeps_the_rate():
    gradient = np.random.default_rng(0).normal(size=(4, 9))
    found, _ = steps_of(variable("hidden/kernel", (4, 9)), [gradient])
    np.testing.assert_allclose(found, -RATE * iterated(gradient), atol=1e-4)


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("tagger/head/kernel", (4, 3)),
        ("logits/kernel", (1, 1, 4, 3)),
        ("stage1_block1_1_bn/gamma", (4,)),
        ("position/embeddings", (5, 4)),
        ("depthwise/kernel", (3, 3, 4, 1)),
        ("attention/query/kernel", (4, 2, 2)),
    ],
)
def test_all_else_is_adamw_at_a_tenth_of_the_rate(path, shape):
    """Its first step is the rate with the gradient's sign."""
    gradient = np.random.default_rng(0).normal(size=shape)
    found, _ = steps_of(variable(path, shape), [gradient])
    np.testing.assert_allclose(
        found, -0.1 * RATE * np.sign(gradient), rtol=1e-3
    )


def test_the_outputs_of_every_task_are_left_out(tiny_config):
    tagger = Tagger(tiny_config(), 5)
    weights = tagger.trainable_variables
    hidden = {w.path for w in weights if is_hidden_kernel(w.path, w.shape)}
    assert hidden == {w.path for w in weights if len(w.shape) == 4}


def test_decay_is_of_kernels_alone():
    weights = [
        variable("stem_conv/kernel", (2, 2, 3, 4)),
        variable("b/bias", (4,)),
    ]
    for weight in weights:
        weight.assign(np.ones(weight.shape))
    schedule = dataclasses.replace(SCHEDULE, weight_decay=0.1)
    optimizer = make_optimizer(schedule, 10)
    optimizer.build(weights)
    zeros = [np.zeros(w.shape, np.float32) for w in weights]
    optimizer.apply_gradients(zip(zeros, weights, strict=True))
    np.testing.assert_allclose(weights[0].numpy(), 1 - RATE * 0.1, rtol=1e-6)
    np.testing.assert_allclose(weights[1].numpy(), 1.0)


def test_the_rate_falls_from_stage_to_stage():
    names = ("stage1_block1_1_conv", "stage2_block1_1_conv")
    weights = [variable(f"{name}/kernel", (2, 2, 3, 4)) for name in names]
    schedule = dataclasses.replace(SCHEDULE, layer_decay=0.1)
    optimizer = make_optimizer(schedule, 100)
    optimizer.build(weights)
    gradient = np.random.default_rng(0).normal(size=(2, 2, 3, 4))
    same = [(gradient.astype(np.float32), weight) for weight in weights]
    optimizer.apply_gradients(same)
    lower, upper = (weight.numpy() for weight in weights)
    np.testing.assert_allclose(lower, 0.1 * upper, rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 3])
def test_two_replicas_equal_one(tiny_config, two_replicas, steps):
    """Gradients are summed before they are orthogonalised."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(24, 16, 16, 3)).astype(np.float32)
    targets = (rng.random((24, 5)) < 0.4).astype(np.int8)
    rows = tf.data.Dataset.from_tensor_slices((images, targets)).batch(8)
    found = []
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        keras.utils.set_random_seed(0)
        config = tiny_config(optimizer="muon", learning_rate=0.02)
        with strategy.scope():
            tagger = Tagger(config, 5)
            # Of an image itself, so that halves normalize as the whole does.
            for layer in tagger.backbone.layers:
                if layer.name.endswith("_bn"):
                    layer.trainable = False
            optimizer = make_optimizer(config.schedule, 3)
            optimizer.build(tagger.trainable_variables)
            tagger.compile(optimizer=optimizer, jit_compile=False)
        before = tagger.backbone.get_weights()
        tagger.fit(rows.take(steps), verbose=0)
        assert any(
            (a != b).any()
            for a, b in zip(before, tagger.backbone.get_weights(), strict=True)
        )
        found.append(tagger.get_weights())
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, atol=2e-4)
