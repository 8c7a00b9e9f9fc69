"""Tests of model.network.image_mixing, by images that a hand can mix."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from beam_jobs.errors import InputError
from model.config import Config, DataConfig, LossConfig, StartConfig
from model.network import image_mixing
from model.network.image_mixing import Mixing
from model.network.tagger import Tagger
from model.training import schedules
from model.training.strategy import check

# Of four images each has one value throughout.
IMAGES = np.arange(4, dtype=np.float32)[:, None, None, None] * np.ones(
    (1, 8, 8, 3), np.float32
)


def test_mixup_adds_neighbours_by_their_shares():
    mixing = Mixing(tf.constant(0.75), tf.constant(False), tf.zeros(2))
    mixed, share = image_mixing.mix(tf.constant(IMAGES), mixing)
    assert float(share) == 0.75
    expected = [0.25, 0.75, 2.25, 2.75]
    for image, value in zip(mixed, expected, strict=True):
        np.testing.assert_allclose(image, np.full((8, 8, 3), value))


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels():
    # A quarter of the image is half of each side.
    centre = tf.constant([0.5, 0.25])
    mixing = Mixing(tf.constant(0.75), tf.constant(True), centre)
    mixed, share = image_mixing.mix(tf.constant(IMAGES), mixing)
    expected = np.zeros((8, 8))
    expected[2:6, 0:4] = 1
    np.testing.assert_array_equal(mixed[0, :, :, 0], expected)
    np.testing.assert_array_equal(mixed[3, :, :, 2], 3 - expected)
    assert float(share) == 0.75


def test_a_rectangle_beyond_the_border_is_as_small_as_it_looks():
    mixing = Mixing(tf.constant(0.75), tf.constant(True), tf.zeros(2))
    mixed, share = image_mixing.mix(tf.constant(IMAGES), mixing)
    assert float(share) == 1 - 4 / 64
    assert float(tf.reduce_sum(mixed[0, :, :, 0])) == 4


def drawn(config, steps=400):
    found = [image_mixing.draw(config, 3, step) for step in range(steps)]
    share, is_cut = (np.array([m[i].numpy() for m in found]) for i in range(2))
    return share, is_cut


def test_shares_are_of_the_beta_distribution():
    share, is_cut = drawn(DataConfig(mixup_alpha=0.4))
    assert not is_cut.any()
    assert stats.kstest(share, stats.beta(0.4, 0.4).cdf).pvalue > 0.01
    again, _ = drawn(DataConfig(mixup_alpha=0.4), 5)
    np.testing.assert_array_equal(again, share[:5])


def test_some_batches_stay_and_half_of_the_others_are_cut():
    share, is_cut = drawn(
        DataConfig(mixup_alpha=1.0, cutmix_alpha=1.0, mix_probability=0.3)
    )
    assert abs((share < 1).mean() - 0.3) < 0.07
    assert abs(is_cut.mean() - 0.5) < 0.08
    _, is_cut = drawn(DataConfig(cutmix_alpha=1.0), 20)
    assert is_cut.all()


def test_the_loss_is_that_of_the_mixed_targets(tiny_config):
    # With cross-entropy: s l(y) + (1 - s) l(y') = l(s y + (1 - s) y').
    config = dataclasses.replace(
        tiny_config(),
        loss=LossConfig(kind="bce", reduction="sum"),
        data=dataclasses.replace(tiny_config().data, mixup_alpha=1.0),
    )
    keras.utils.set_random_seed(0)
    tagger = Tagger(config, 5)
    optimizer = schedules.make_optimizer(config.schedule, 1)
    tagger.compile(optimizer=optimizer)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 16, 16, 3)).astype(np.float32)
    targets = (rng.random((4, 5)) < 0.4).astype(np.int8)
    (plan, share), rows = tagger.plan_step(
        (tf.constant(images), tf.constant(targets))
    )
    assert 0.01 < float(share) < 0.99
    loss = tagger.step_loss((plan, share), *rows)
    soft = float(share) * targets + (1 - float(share)) * targets[[1, 0, 3, 2]]
    mixed = float(share) * images + (1 - float(share)) * images[[1, 0, 3, 2]]
    logits = tagger(tf.constant(mixed), training=True)
    expected = tf.nn.sigmoid_cross_entropy_with_logits(
        soft.astype(np.float32), logits
    )
    np.testing.assert_allclose(
        loss, tf.reduce_mean(tf.reduce_sum(expected, axis=1)), rtol=1e-4
    )


def test_what_cannot_be_mixed_is_refused():
    mixing = DataConfig(cutmix_alpha=1.0)
    frozen = StartConfig(
        source="run", freeze=("backbone",), cache_features=True
    )
    with pytest.raises(InputError, match="cache_features must be False where"):
        Config(data=mixing, start=frozen)
    config = Config(data=mixing)
    odd = dataclasses.replace(config.schedule, batch_size=5)
    with pytest.raises(InputError, match="a multiple of twice the 1 replicas"):
        check(
            dataclasses.replace(config, schedule=odd),
            tf.distribute.get_strategy(),
        )
