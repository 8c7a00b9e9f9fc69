"""Tests of model.tagger and model.distribution."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model import distribution, schedules
from model.config import LossConfig
from model.tagger import Tagger, load_tagger

CLASSES = 5


@pytest.fixture(name="two_replicas", scope="module")
def fixture_two_replicas():
    """Returns a strategy of two logical CPU devices.

    One for all tests: a second would use the keys of the first's collectives.
    """
    cpus = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(
            cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
        )
    except RuntimeError:
        # Some test before has used TensorFlow: the number is fixed.
        if len(tf.config.list_logical_devices("CPU")) < 2:
            pytest.skip("TensorFlow runs on one CPU device already")
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def batches(count, size=8):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, size, 16, 16, 3)).astype(np.float32)
    targets = (rng.random((count, size, CLASSES)) < 0.2).astype(np.int8)
    targets[..., 0] = 1
    return images, targets


def trained(config, strategy, steps=4):
    """Returns the tagger after some steps on random batches."""
    keras.utils.set_random_seed(0)
    images, targets = batches(steps)
    with strategy.scope():
        tagger = Tagger(config, CLASSES)
        optimizer = schedules.make_optimizer(config.schedule, steps)
        optimizer.build(tagger.trainable_variables)
        tagger.compile(optimizer=optimizer, jit_compile=False)

    def make(context):
        rows = tf.data.Dataset.from_tensor_slices((images, targets))
        size = 8 // context.num_replicas_in_sync
        return rows.unbatch().batch(size, drop_remainder=True)

    tagger.fit(
        strategy.distribute_datasets_from_function(make),
        steps_per_epoch=steps,
        verbose=0,
    )
    return tagger


@pytest.mark.parametrize(
    "loss",
    [
        # The kept negatives are drawn from the global batch: equal as well.
        LossConfig(floor=0.1, reduction="sum", absent_probability=0.5),
        LossConfig(reduction="sum", negative_ratio=0.0),
        LossConfig(kind="released"),
    ],
    ids=["paper", "paper without down-sampling", "released"],
)
@pytest.mark.parametrize("unknown", ["negative", "ignore"])
def test_two_replicas_equal_one(two_replicas, tiny_config, loss, unknown):
    config = tiny_config()
    network = dataclasses.replace(config.network, batch_norm_sync=True)
    data = dataclasses.replace(config.data, unknown=unknown)
    config = dataclasses.replace(config, network=network, loss=loss, data=data)
    one = trained(config, tf.distribute.get_strategy(), steps=5)
    two = trained(config, two_replicas, steps=5)
    np.testing.assert_array_equal(one.runs.numpy(), two.runs.numpy())
    assert one.runs.numpy()[0, 0] == 5
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(
            a.numpy(), b.numpy(), rtol=1e-3, atol=1e-4, err_msg=a.path
        )


def test_moving_averages_of_replicas_agree(two_replicas, tiny_config):
    tagger = trained(tiny_config(), two_replicas)
    for variable in tagger.backbone.non_trainable_variables:
        first, second = two_replicas.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_training_lowers_the_loss(tiny_config):
    tagger = trained(tiny_config(), tf.distribute.get_strategy(), steps=1)
    images, targets = batches(1)
    rows = tf.data.Dataset.from_tensor_slices((images, targets)).repeat(30)
    before = tagger.evaluate(rows.take(1), verbose=0)
    tagger.fit(rows, verbose=0)
    assert tagger.evaluate(rows.take(1), verbose=0) < 0.8 * before


def test_weight_decay_is_in_the_gradient_but_not_of_normalization(
    tiny_config,
):
    config = tiny_config(weight_decay=0.5)
    tagger = Tagger(config, CLASSES)
    tagger.compile(optimizer=schedules.make_optimizer(config.schedule, 1))
    zeros = [tf.zeros(w.shape) for w in tagger.trainable_variables]
    decayed = tagger._decayed(zeros, tagger.trainable_variables)
    for found, w in zip(decayed, tagger.trainable_variables, strict=True):
        factor = 0.0 if w.name in ("gamma", "beta") else 0.5
        np.testing.assert_allclose(found, factor * w.numpy(), rtol=1e-6)


def test_prior_is_the_classes_frequency(tiny_config):
    config = tiny_config()
    tagger = Tagger(config, CLASSES)
    tagger.set_prior(np.array([24, 8, 8, 8, 0]), 24)
    bias = tagger.head.bias.numpy()
    assert bias[1] == pytest.approx(np.log(12 * 0.5))
    assert bias[4] == pytest.approx(np.log(12 * 0.5 / 23.5))
    assert np.isfinite(bias).all()


def test_output_is_logits_without_a_softmax(tiny_config):
    tagger = Tagger(tiny_config(), CLASSES)
    images = batches(1)[0][0]
    logits = tagger(images)
    assert logits.shape == (8, CLASSES)
    features = tagger.embed(images)
    assert features.shape == (8, 8)
    np.testing.assert_allclose(tagger.head(features), logits, rtol=1e-5)


def test_get_config_round_trip(tiny_config):
    tagger = Tagger(tiny_config(), CLASSES)
    again = Tagger.from_config(tagger.get_config())
    assert again.config == tagger.config
    assert again.classes == CLASSES


def test_load_tagger_refuses_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no training"):
        load_tagger(tmp_path)


def test_workers_from_environment(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    workers = distribution.workers_from_environment()
    assert (workers.count, workers.index, workers.is_chief) == (1, 0, True)
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    for kind, index, place in (("chief", 0, 0), ("worker", 1, 2)):
        task = {"type": kind, "index": index}
        text = json.dumps({"cluster": cluster, "task": task})
        monkeypatch.setenv("TF_CONFIG", text)
        workers = distribution.workers_from_environment()
        assert (workers.count, workers.index) == (3, place)
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(InputError, match="TF_CONFIG must be"):
        distribution.workers_from_environment()


def test_loss_draws_repeat_and_are_a_permutation():
    targets = np.zeros((6, CLASSES), np.int8)
    targets = tf.constant(targets)
    first = distribution.loss_draws(1, tf.constant(7), 6, targets)
    again = distribution.loss_draws(1, tf.constant(7), 6, targets)
    later = distribution.loss_draws(1, tf.constant(8), 6, targets)
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1].numpy() != later[1].numpy()).any()
    places = np.sort(first[0].numpy())
    np.testing.assert_allclose(places, np.arange(6) / 6, rtol=1e-6)
