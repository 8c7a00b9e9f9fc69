"""Tests of model.network.tagger."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model.network.load_tagger import load_tagger, read_weights
from model.network.tagger import Tagger
from model.training import schedules

CLASSES = 5


def batches(count, size=8):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, size, 16, 16, 3)).astype(np.float32)
    targets = (rng.random((count, size, CLASSES)) < 0.2).astype(np.int8)
    targets[..., 0] = 1
    return images, targets


def test_training_lowers_the_loss(tiny_config):
    keras.utils.set_random_seed(0)
    config = tiny_config()
    tagger = Tagger(config, CLASSES)
    optimizer = schedules.make_optimizer(config.schedule, 31)
    tagger.compile(optimizer=optimizer, jit_compile=False)
    images, targets = batches(1)
    rows = tf.data.Dataset.from_tensor_slices((images, targets)).repeat(30)
    before = tagger.evaluate(rows.take(1), verbose=0)[0]
    tagger.fit(rows, verbose=0)
    assert tagger.evaluate(rows.take(1), verbose=0)[0] < 0.8 * before


def test_weight_decay_is_in_the_gradient_but_not_of_normalization(
    tiny_config,
):
    config = tiny_config(weight_decay=0.5)
    tagger = Tagger(config, CLASSES)
    tagger.compile(optimizer=schedules.make_optimizer(config.schedule, 1))
    zeros = [tf.zeros(w.shape) for w in tagger.trainable_variables]
    decayed = tagger.regularized(zeros, tagger.trainable_variables)
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


def test_mirrored_answers_are_of_the_mean_embedding(tiny_config):
    plain = Tagger(tiny_config(), CLASSES)
    network = dataclasses.replace(plain.config.network, mirrored=True)
    mirrored = Tagger(dataclasses.replace(plain.config, network=network), 5)
    mirrored.set_weights(plain.get_weights())
    images = batches(1)[0][0]
    flipped = images[:, :, ::-1]
    wanted = (plain(images) + plain(flipped)) / 2
    assert not np.allclose(wanted, plain(images), atol=1e-4)
    np.testing.assert_allclose(mirrored(images), wanted, atol=1e-5)
    np.testing.assert_allclose(mirrored(flipped), wanted, atol=1e-5)
    # What a training sees is the image alone.
    for tagger in (plain, mirrored):
        np.testing.assert_allclose(
            tagger(images, training=True),
            plain(images, training=True),
            atol=1e-5,
        )


def test_get_config_round_trip(tiny_config):
    tagger = Tagger(tiny_config(), CLASSES)
    again = Tagger.from_config(tagger.get_config())
    assert again.config == tagger.config
    assert again.classes == CLASSES


def test_weights_of_other_layers_are_refused_in_one_line(tmp_path):
    one = keras.Sequential([keras.Input([4, 4, 3]), keras.layers.Conv2D(2, 3)])
    one.save_weights(tmp_path / "other.weights.h5")
    other = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
    (tmp_path / "text.weights.h5").write_text("no weights")
    for name in ("other", "text", "none"):
        path = tmp_path / f"{name}.weights.h5"
        with pytest.raises(InputError, match="of this network: ") as found:
            read_weights(other, path)
        assert str(path) in str(found.value)
        assert "\n" not in str(found.value)


def test_load_tagger_refuses_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no training"):
        load_tagger(tmp_path)
