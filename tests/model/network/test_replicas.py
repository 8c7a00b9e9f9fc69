"""Tests of model.network.replicas: any replicas equal one device."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import LossConfig
from model.network import replicas
from model.network.tagger import Tagger
from model.training import schedules

CLASSES = 5
BATCH = 8

PAPER = LossConfig(floor=0.1, reduction="sum", absent_probability=0.5)
LOSSES = {
    # The kept negatives are drawn from the global batch: equal as well.
    "paper": PAPER,
    "paper without down-sampling": LossConfig(
        reduction="sum", negative_ratio=0.0
    ),
    "released": LossConfig(kind="released"),
    "plain": LossConfig(kind="bce", reduction="sum"),
    "focal": LossConfig(kind="focal", reduction="sum"),
    "asymmetric": LossConfig(kind="asymmetric", reduction="sum"),
}


def batches(count):
    """Returns images and targets; a fifth positive, a fifth unknown."""
    rng = np.random.default_rng(0)
    shape = (count, BATCH)
    images = rng.normal(size=(*shape, 16, 16, 3)).astype(np.float32)
    draws = rng.random((*shape, CLASSES))
    targets = np.where(draws < 0.2, 1, np.where(draws > 0.8, -1, 0))
    targets[..., 0] = 1
    return images, targets.astype(np.int8)


def changed(config, **sections):
    """Returns the config with fields of its sections replaced."""
    new = {
        name: dataclasses.replace(getattr(config, name), **fields)
        for name, fields in sections.items()
    }
    return dataclasses.replace(config, **new)


def trained(config, strategy, steps=5, epochs=1):
    """Returns the tagger after some steps on random batches."""
    keras.utils.set_random_seed(0)
    images, targets = batches(steps)
    if config.data.unknown == "negative":
        targets = np.maximum(targets, 0)
    with strategy.scope():
        tagger = Tagger(config, CLASSES)
        optimizer = schedules.make_optimizer(
            config.schedule, steps, config.network.precision
        )
        optimizer.build(tagger.trainable_variables)
        tagger.set_leaves(np.arange(CLASSES) > 0)
        tagger.compile(
            optimizer=optimizer,
            steps_per_execution=config.schedule.steps_per_execution,
            jit_compile=False,
        )

    def make(context):
        rows = tf.data.Dataset.from_tensor_slices((images, targets))
        size = BATCH // context.num_replicas_in_sync
        return rows.unbatch().batch(size, drop_remainder=True).repeat()

    tagger.fit(
        strategy.distribute_datasets_from_function(make),
        epochs=epochs,
        steps_per_epoch=steps,
        verbose=0,
    )
    return tagger


def assert_equal_weights(one, two, tolerance=1e-4):
    np.testing.assert_array_equal(one.runs.numpy(), two.runs.numpy())
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(
            a.numpy(), b.numpy(), rtol=1e-3, atol=tolerance, err_msg=a.path
        )


def check_two_equal_one(config, strategy):
    one = trained(config, tf.distribute.get_strategy())
    two = trained(config, strategy)
    assert one.runs.numpy()[0, 0] == 5
    assert_equal_weights(one, two)
    for variable in two.backbone.non_trainable_variables:
        first, second = strategy.experimental_local_results(variable.value)
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def synchronized(config, **schedule):
    """Returns the config with unknown labels, whose replicas equal one."""
    return changed(
        config,
        network={"batch_norm_sync": True},
        data={"unknown": "ignore"},
        schedule=schedule,
    )


def test_two_replicas_equal_one_with_parts_and_clipping(
    two_replicas, tiny_config
):
    config = synchronized(tiny_config(), accumulation_steps=2, clip_norm=0.1)
    loss = dataclasses.replace(PAPER, leaf_weight=2.0)
    config = dataclasses.replace(config, loss=loss)
    check_two_equal_one(config, two_replicas)


def test_two_replicas_equal_one_with_mixed_images(two_replicas, tiny_config):
    config = synchronized(tiny_config(), accumulation_steps=2)
    config = changed(config, data={"mixup_alpha": 0.4, "cutmix_alpha": 1.0})
    check_two_equal_one(config, two_replicas)


@pytest.mark.large
def test_two_replicas_equal_one_with_several_steps_a_call(
    two_replicas, tiny_config
):
    config = synchronized(tiny_config(), steps_per_execution=2)
    check_two_equal_one(config, two_replicas)


@pytest.mark.large
@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("unknown", ["negative", "ignore"])
@pytest.mark.parametrize("loss", LOSSES)
def test_two_replicas_equal_one(
    two_replicas, tiny_config, loss, unknown, parts
):
    config = changed(
        tiny_config(accumulation_steps=parts),
        network={"batch_norm_sync": True},
        data={"unknown": unknown},
    )
    config = dataclasses.replace(config, loss=LOSSES[loss])
    check_two_equal_one(config, two_replicas)


def test_loss_scaling_skips_a_step_but_counts_it(tiny_config):
    config = changed(tiny_config(), network={"precision": "mixed_float16"})
    tagger = trained(config, tf.distribute.get_strategy(), steps=2)
    optimizer = tagger.optimizer
    assert isinstance(optimizer, schedules.LossScale)
    assert tagger(batches(1)[0][0]).dtype == tf.float32
    before = [w.numpy() for w in tagger.trainable_variables]
    assert all(np.isfinite(w).all() for w in before)
    scale = float(optimizer.dynamic_scale.numpy())
    steps = int(optimizer.iterations.numpy())
    infinite = [tf.fill(w.shape, np.inf) for w in before]
    optimizer.apply(infinite, tagger.trainable_variables)
    assert float(optimizer.dynamic_scale.numpy()) == scale / 2
    assert int(optimizer.iterations.numpy()) == steps + 1 == 3
    for w, old in zip(tagger.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(w.numpy(), old)


@pytest.mark.large
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_two_replicas_train_in_mixed_precision(
    two_replicas, tiny_config, precision
):
    config = changed(
        tiny_config(learning_rate=0.02), network={"precision": precision}
    )
    tagger = trained(config, two_replicas, epochs=4)
    untrained = Tagger(config, CLASSES)
    images, targets = batches(1)
    losses = [
        tf.reduce_mean(t.loss_fn.call(targets[0], t(images[0])))
        for t in (tagger, untrained)
    ]
    assert losses[0].dtype == tf.float32
    assert losses[0] < losses[1]


@pytest.mark.large
@pytest.mark.parametrize("part", ["loss", "network"])
def test_xla_changes_nothing(tiny_config, part):
    one = tf.distribute.get_strategy()
    plain = trained(tiny_config(jit_compile="none"), one)
    compiled = trained(tiny_config(jit_compile=part, accumulation_steps=1), one)
    assert_equal_weights(plain, compiled)


def test_loss_draws_repeat_and_are_a_permutation():
    targets = np.zeros((6, CLASSES), np.int8)
    targets = tf.constant(targets)
    first = replicas.loss_draws(1, tf.constant(7), 6, targets)
    again = replicas.loss_draws(1, tf.constant(7), 6, targets)
    later = replicas.loss_draws(1, tf.constant(8), 6, targets)
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1].numpy() != later[1].numpy()).any()
    places = np.sort(first[0].numpy())
    np.testing.assert_allclose(places, np.arange(6) / 6, rtol=1e-6)


def test_gradients_in_packs_are_the_same_sums(two_replicas):
    values = [np.arange(size, dtype=np.float32) for size in (5, 3, 4, 2)]

    @tf.function
    def sums(pack_bytes):
        def each():
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            own = [value * tf.cast(place + 1, tf.float32) for value in values]
            return replicas.sum_over_replicas(own, pack_bytes)

        found = two_replicas.run(each)
        return [two_replicas.experimental_local_results(f)[0] for f in found]

    for pack_bytes, packs in ((0, 1), (16, 2), (1, 4)):
        found = sums(pack_bytes)
        for value, total in zip(values, found, strict=True):
            np.testing.assert_array_equal(3 * value, total)
        operations = sums.get_concrete_function(
            pack_bytes
        ).graph.get_operations()
        kinds = [operation.type for operation in operations]
        # Of each pack one on each of two replicas.
        assert kinds.count("CollectiveReduceV2") == 2 * packs
