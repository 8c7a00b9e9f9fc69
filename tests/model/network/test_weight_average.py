"""Tests of model.network.weight_average, in the training step of a tagger."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.network.tagger import Tagger
from model.network.weight_average import WeightAverage

CLASSES, BATCH = 4, 8


def batch(step, size=BATCH):
    rng = np.random.default_rng(step)
    images = rng.integers(0, 256, (size, 16, 16, 3), dtype=np.uint8)
    targets = rng.integers(0, 2, (size, CLASSES), dtype=np.int8)
    return tf.constant(images), tf.constant(targets)


def compiled(config, strategy=None, average=0.5):
    """Returns a tagger that keeps an average, as a training makes it."""
    keras.utils.set_random_seed(0)
    with (strategy or tf.distribute.get_strategy()).scope():
        tagger = Tagger(config, CLASSES)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        optimizer.build(tagger.trainable_variables)
        if average:
            tagger.average = WeightAverage(
                optimizer, tagger.trainable_variables, average
            )
            tagger.average.begin()
        tagger.compile(
            optimizer=optimizer,
            jit_compile=False,
            steps_per_execution=config.schedule.steps_per_execution,
        )
    return tagger


def data(strategy, steps):
    def make(context):
        parts = [batch(step) for step in range(steps)]
        rows = tf.data.Dataset.from_tensor_slices(parts[0])
        for part in parts[1:]:
            rows = rows.concatenate(tf.data.Dataset.from_tensor_slices(part))
        size = BATCH // context.num_replicas_in_sync
        return rows.batch(size, drop_remainder=True).repeat()

    return strategy.distribute_datasets_from_function(make)


def fit(tagger, steps, epochs=1):
    strategy = tagger.distribute_strategy
    made = data(strategy, steps * epochs)
    tagger.fit(made, epochs=epochs, steps_per_epoch=steps, verbose=0)


def averages(tagger):
    with tagger.averaged():
        return [w.numpy() for w in tagger.trainable_variables]


def values(tagger):
    return [w.numpy() for w in tagger.trainable_variables]


def by_hand(trajectory, momentum):
    """Returns the average of weights [steps + 1], those before the first."""
    mean = trajectory[0].astype(np.float64)
    for step, weights in enumerate(trajectory[1:]):
        kept = min(momentum, (1 + step) / (10 + step))
        mean = kept * mean + (1 - kept) * weights
    return mean


class Seen(keras.callbacks.Callback):
    """Keeps the head's weights after each step."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def on_train_begin(self, logs=None):
        self.kernels.append(self.model.head.kernel.numpy())

    def on_train_batch_end(self, batch, logs=None):
        self.kernels.append(self.model.head.kernel.numpy())


def test_it_is_the_mean_of_all_weights_so_far(tiny_config):
    tagger, seen = compiled(tiny_config(), average=0.2), Seen()
    made = data(tagger.distribute_strategy, 6)
    # Three epochs in one call of Keras' fit, and a broken one in another.
    tagger.fit(
        made,
        epochs=3,
        initial_step=1,
        steps_per_epoch=2,
        callbacks=[seen],
        verbose=0,
    )
    assert len(seen.kernels) == 6
    expected = by_hand(seen.kernels, 0.2)
    with tagger.averaged():
        found = tagger.head.kernel.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    # Which is not where the last step left the weights.
    assert np.abs(found - seen.kernels[-1]).max() > 1e-4
    np.testing.assert_array_equal(tagger.head.kernel, seen.kernels[-1])


def test_nothing_else_is_changed_by_it(tiny_config):
    plain = compiled(tiny_config(), average=0.0)
    averaged = compiled(tiny_config(), average=0.5)
    for tagger in (plain, averaged):
        fit(tagger, 3)
        images, targets = batch(9)
        before = [w.numpy() for w in tagger.weights]
        rows = tf.data.Dataset.from_tensors((images, targets))
        looked = tagger.evaluate(rows, verbose=0, return_dict=True)
        # A look leaves the weights as they were.
        for old, weight in zip(before, tagger.weights, strict=True):
            np.testing.assert_array_equal(old, weight)
        tagger.looked = looked["loss"]
    for one, other in zip(plain.weights, averaged.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert plain.looked != averaged.looked
    with averaged.averaged():
        loss = averaged.loss_fn.call(targets, averaged(images))
    assert averaged.looked == pytest.approx(float(np.mean(loss)), rel=1e-5)


def test_frozen_weights_and_statistics_have_none(tiny_config):
    tagger = Tagger(tiny_config(), CLASSES)
    tagger.backbone.trainable = False
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(tagger.trainable_variables)
    before = len(optimizer.variables)
    tagger.average = WeightAverage(optimizer, tagger.trainable_variables, 0.9)
    tagger.average.begin()
    tagger.compile(optimizer=optimizer, jit_compile=False)
    fit(tagger, 2)
    assert len(optimizer.variables) - before == len(tagger.head.weights)
    backbone = [w.numpy() for w in tagger.backbone.weights]
    with tagger.averaged():
        for old, weight in zip(backbone, tagger.backbone.weights, strict=True):
            np.testing.assert_array_equal(old, weight)


def test_kept_columns_keep_their_bits(tiny_config):
    tagger = compiled(tiny_config(), average=0.3)
    tagger.keep_classes([1, 3])
    before = tagger.head.kernel.numpy()
    fit(tagger, 4)
    with tagger.averaged():
        after = tagger.head.kernel.numpy()
    np.testing.assert_array_equal(after[:, [1, 3]], before[:, [1, 3]])
    assert np.abs(after - before)[:, [0, 2]].max() > 1e-4


@pytest.mark.parametrize(
    "settings",
    [{"accumulation_steps": 2}, {"steps_per_execution": 2}],
    ids=["accumulation", "executions"],
)
def test_parts_and_executions_make_no_difference(settings, tiny_config):
    # The network has batch normalization: parts are another training.
    config = tiny_config(**settings)
    tagger, seen = compiled(config), Seen()
    made = data(tagger.distribute_strategy, 4)
    tagger.fit(made, steps_per_epoch=4, callbacks=[seen], verbose=0)
    if "steps_per_execution" in settings:
        other = compiled(tiny_config())
        fit(other, 4)
        expected = averages(other)[-2]
    else:
        expected = by_hand(seen.kernels, 0.5)
    np.testing.assert_allclose(
        averages(tagger)[-2], expected, rtol=1e-5, atol=1e-7
    )


def test_mixed_precision_averages_the_float32_weights(tiny_config):
    config = tiny_config()
    network = dataclasses.replace(config.network, precision="mixed_bfloat16")
    tagger = compiled(dataclasses.replace(config, network=network))
    fit(tagger, 2)
    kernel = tagger.backbone.get_layer("stem_conv").kernel
    with tagger.averaged():
        assert kernel.value.dtype == tf.float32
        found = kernel.numpy()
    # bfloat16 has 8 bits: most of these have more.
    rounded = tf.cast(tf.cast(found, tf.bfloat16), tf.float32)
    assert np.mean(rounded != found) > 0.9


def test_two_replicas_have_one_average(two_replicas, tiny_config):
    tagger, seen = compiled(tiny_config(), two_replicas), Seen()
    made = data(two_replicas, 3)
    tagger.fit(made, steps_per_epoch=3, callbacks=[seen], verbose=0)
    expected = by_hand(seen.kernels, 0.5)
    with tagger.averaged():
        copies = two_replicas.experimental_local_results(
            tagger.head.kernel.value
        )
        one, other = (copy.numpy() for copy in copies)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-7)
