"""Tests of trainings that keep an average of their weights."""

import dataclasses
import json

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model import checkpoint_files
from model import workdir as files
from model.config import CheckpointConfig, override
from model.network.load_tagger import load_tagger
from model.training import validation
from model.training.options import TrainOptions
from model.training.stop_requests import StopOnRequest
from model.training.train import train
from tests.helpers.configs import QUIET

MOMENTUM = 0.6
EPOCHS, STEPS = 3, 3


class PowerCut(Exception):
    """Stands for the end of the process."""


@pytest.fixture(name="config", scope="module")
def fixture_config(tiny_config):
    """Returns epochs of 3 steps whose weights jump about."""
    config = tiny_config(
        epochs=EPOCHS,
        decay="constant",
        # Its moments are of some variables alone.
        optimizer="muon",
        learning_rate=0.1,
        validate_every=1,
        best="loss",
        average=MOMENTUM,
    )
    return dataclasses.replace(
        config,
        checkpoint=CheckpointConfig(every_steps=2, keep=20),
        logging=QUIET,
    )


def trained_weights(tagger):
    return [w.numpy() for w in tagger.trainable_variables]


@pytest.fixture(name="undisturbed", scope="module")
def fixture_undisturbed(tmp_path_factory, tiny_dataset, config):
    """Returns workdir, result, and the weights after each step."""
    folder, seen = tmp_path_factory.mktemp("undisturbed"), []
    original = StopOnRequest.on_train_batch_end
    with pytest.MonkeyPatch.context() as patch:

        def end(self, batch, logs=None):
            original(self, batch, logs)
            seen.append(trained_weights(self.model))

        patch.setattr(StopOnRequest, "on_train_batch_end", end)
        return folder, train(config, tiny_dataset, folder), seen


def test_final_and_kept_weights_are_averages(undisturbed):
    folder, result, seen = undisturbed
    assert len(seen) == EPOCHS * STEPS
    # From the average of a checkpoint on by hand.
    step = 3
    path = checkpoint_files.checkpoint_path(folder, step)
    tagger = load_tagger(folder)
    final = trained_weights(tagger)
    tagger.load_weights(path)
    means = trained_weights(tagger)
    by_step = {step: means}
    for weights in seen[step:]:
        kept = min(MOMENTUM, (1 + step) / (10 + step))
        pairs = zip(means, weights, strict=True)
        means = [kept * m + (1 - kept) * w for m, w in pairs]
        step += 1
        by_step[step] = means
    assert result.best.step % STEPS == 0
    expected = by_step[result.best.step]
    for one, other in zip(final, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    far = np.abs(final[-2] - seen[result.best.step - 1][-2]).max()
    assert far > 1e-3


def test_validation_looks_at_the_average(undisturbed, tiny_dataset):
    folder, result, _ = undisturbed
    losses = [
        row["val_loss"]
        for row in json.loads((folder / files.HISTORY).read_text())
    ]
    assert result.best.value == min(losses)
    tagger = load_tagger(folder)
    assert tagger.average is None
    data, steps = validation.distributed(
        tagger.config, tiny_dataset, tagger.distribute_strategy, tagger.classes
    )
    tagger.compile(jit_compile=False)
    looked = tagger.evaluate(data, steps=steps, verbose=0, return_dict=True)
    assert looked["loss"] == pytest.approx(min(losses), rel=1e-5)


def test_one_that_was_broken_off_has_the_same_bits(
    undisturbed, config, tiny_dataset, tmp_path, monkeypatch
):
    _, expected, seen = undisturbed
    step = 5
    original = StopOnRequest.on_train_batch_end

    def end(self, batch, logs=None):
        original(self, batch, logs)
        if int(self.model.optimizer.iterations) == step:
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(StopOnRequest, "on_train_batch_end", end)
        train(config, tiny_dataset, tmp_path)
    last = checkpoint_files.latest_checkpoint(tmp_path).position.step
    assert last in (step, step - 1)
    # What a tagger is made of meanwhile is the average, too.
    halfway = trained_weights(load_tagger(tmp_path))
    assert np.abs(halfway[-2] - seen[last - 1][-2]).max() > 1e-3
    result = train(config, tiny_dataset, tmp_path)
    assert result.weights_sha256 == expected.weights_sha256
    assert result.best == expected.best


def test_an_average_cannot_begin_in_mid_training(
    undisturbed, config, tiny_dataset
):
    folder, _, _ = undisturbed
    extend = TrainOptions(extend=True)
    without = override(config, ["schedule.average=0", "schedule.epochs=6"])
    with pytest.raises(InputError, match=r"average is 0\.6 there, 0 here"):
        train(without, tiny_dataset, folder, extend)
