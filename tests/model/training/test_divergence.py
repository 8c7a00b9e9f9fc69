import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model import checkpoint_files
from model.config import CheckpointConfig
from model.network.step_watch import Seen
from model.network.tagger import Tagger
from model.training import checkpoints, divergence, schedules


def fit_until_it_diverges(config, workdir, *, images=None, change=None):
    """Returns what is said when a training on given images goes wrong."""
    if images is None:
        images = np.zeros((48, 16, 16, 3), np.float32)
        images += np.linspace(-1, 1, 48, dtype=np.float32)[:, None, None, None]
    targets = np.eye(5, dtype=np.int8)[np.arange(48) % 3]
    tagger = Tagger(config, 5)
    if change is not None:
        change(tagger)
    steps = 6
    optimizer = schedules.make_optimizer(config.schedule, steps)
    # Eagerly: each of these few steps takes less than a compilation.
    tagger.compile(optimizer=optimizer, jit_compile=False, run_eagerly=True)

    def read_batch(epoch, batch):
        rows = slice(8 * batch, 8 * batch + 8)
        return images[rows], targets[rows]

    stop = divergence.StopOnNaN(workdir, config, steps, read_batch)
    saver = checkpoints.SaveCheckpoints(workdir, config.checkpoint, steps)
    data = tf.data.Dataset.from_tensor_slices((images, targets)).batch(8)
    with pytest.raises(InputError) as caught:
        tagger.fit(data, epochs=1, verbose=0, callbacks=[saver, stop])
    return str(caught.value)


def test_nan_in_an_image_is_found(tiny_config, tmp_path):
    config = dataclasses.replace(
        tiny_config(), checkpoint=CheckpointConfig(every_steps=1, keep=9)
    )
    images = np.zeros((48, 16, 16, 3), np.float32)
    images[8 * 3 + 5, 0, 0, 0] = np.nan
    said = fit_until_it_diverges(config, tmp_path, images=images)
    assert "became nan at step 4 (epoch 1, step 4)" in said
    assert "1 images of its batch are not finite" in said
    # In a pipeline nobody names working directories.
    assert said.endswith("cures it, in a new training")
    # The saver came first, and wrote nothing of step 4.
    good = checkpoint_files.checkpoints(tmp_path)
    assert [c.position.step for c in good] == [1, 2, 3]
    assert f"last good checkpoint: {good[-1].path} (step 3" in said


def test_too_high_a_learning_rate_is_named(tiny_config, tmp_path):
    config = tiny_config(learning_rate=1e18, decay="constant")
    said = fit_until_it_diverges(config, tmp_path)
    assert "last good checkpoint: none yet" in said
    assert "The likely cause is the learning rate, 1e+18 then" in said
    assert "no warm-up: set schedule.warmup, or lower" in said
    assert "schedule.clip_norm=1" in said


def test_float16_overflow_is_named(tiny_config, tmp_path):
    config = tiny_config()
    network = dataclasses.replace(config.network, precision="mixed_float16")

    def enlarge(tagger):
        stem = tagger.backbone.get_layer("stem_conv")
        stem.kernel.assign(stem.kernel * 1e6)

    said = fit_until_it_diverges(
        dataclasses.replace(config, network=network), tmp_path, change=enlarge
    )
    assert "at step 1 " in said
    assert "float16, without loss scaling" in said
    assert "network.precision=mixed_bfloat16" in said


def test_too_large_a_loss_is_named(tiny_config, tmp_path):
    config = tiny_config()
    loss = dataclasses.replace(config.loss, positive_weight=1e30)
    config = dataclasses.replace(config, loss=loss)
    said = fit_until_it_diverges(config, tmp_path)
    assert "the gradient became inf at step 1" in said
    assert "the size of the loss" in said
    assert "lower loss.positive_weight" in said


def test_growing_gradients_after_the_warm_up(tiny_config):
    config = tiny_config(learning_rate=0.5, warmup=1.0, clip_norm=1.0)
    seen = Seen(np.array([2.0, 3.0, 9.0, np.nan]), np.array([1, 5, 40, np.nan]))
    said = divergence.likely_cause(divergence.Evidence(9, seen), config, 5)
    assert "(gradient norms before: 1, 5, 40); after the warm-up of 5" in said
    assert "clip_norm" not in said


def test_no_cause_is_invented(tiny_config):
    seen = Seen(np.array([2.0, 2.1, np.nan]), np.array([1.0, 1.1, np.nan]))
    evidence = divergence.Evidence(9, seen)
    said = divergence.likely_cause(evidence, tiny_config(), 5)
    assert "The steps before show no cause" in said
