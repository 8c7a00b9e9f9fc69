"""Tests of the best epoch, and of the end of a training without a better."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model import checkpoint_files, extension_notes
from model import workdir as files
from model.checkpoint_files import Best, Position
from model.config import CheckpointConfig, ScheduleConfig, override
from model.config_sections import BEST_FIGURES
from model.network import metrics
from model.network.load_tagger import load_tagger, weights_sha256
from model.network.tagger import VALIDATION_K, Tagger
from model.training import best_epoch
from model.training.best_epoch import better, going_on, is_over
from model.training.options import TrainOptions
from model.training.stop_requests import StopOnRequest
from model.training.train import train
from tests.helpers.commands import run
from tests.helpers.configs import QUIET
from tests.helpers.datasets import write_dataset


class PowerCut(Exception):
    """Stands for the end of the process."""


def looks(figure, values):
    best = None
    for epoch, value in enumerate(values, 1):
        best = better(best, Best(figure, value, epoch, 10 * epoch))
    return best.epoch, best.looks


def test_the_figure_says_what_is_better():
    assert looks("f1_at_5", [0.1, 0.3, 0.3, 0.2]) == (2, 2)
    assert looks("loss", [3.0, 2.0, 2.0, 1.0]) == (4, 0)
    assert looks("loss", [float("nan"), 2.0, float("nan")]) == (2, 1)


def test_figures_are_those_of_the_validation():
    of_tags = metrics.means_at_k(VALIDATION_K)
    names = [m.name for m in (*of_tags, *metrics.top_k_means())]
    assert sorted(BEST_FIGURES) == sorted(["loss", "mean_iou", *names])


def schedule(**fields):
    return ScheduleConfig(validate_every=1, **fields)


def test_a_training_is_over_after_so_many_looks():
    best = Best("loss", 1.0, 1, 10, looks=2)
    assert is_over(best, schedule(best="loss", stop_after=2))
    assert not is_over(best, schedule(best="loss", stop_after=3))
    assert not is_over(best, schedule(best="loss"))
    assert not is_over(None, schedule(best="loss", stop_after=1))


def test_an_extension_of_one_that_stopped_gets_its_looks_again():
    best = Best("loss", 1.0, 1, 10, looks=2)
    stopped = Position(30, 3, best=best)
    wanted = schedule(best="loss", stop_after=2)
    assert going_on(stopped, wanted, extended=False) == stopped
    again = going_on(stopped, wanted, extended=True).best
    assert again == dataclasses.replace(best, looks=0)
    # With looks to spare it goes on counting, as one of that schedule does.
    more = schedule(best="loss", stop_after=3)
    assert going_on(stopped, more, extended=True) == stopped
    # Another figure cannot be compared.
    other = schedule(best="f1_at_5")
    assert going_on(stopped, other, extended=True).best is None


@pytest.fixture(name="config", scope="module")
def fixture_config(tiny_config):
    """Returns 20 epochs of 3 steps that get worse: the rate is too high."""
    config = tiny_config(
        epochs=20,
        decay="constant",
        learning_rate=0.2,
        validate_every=1,
        best="loss",
        stop_after=2,
    )
    one = CheckpointConfig(keep=1)
    return dataclasses.replace(config, checkpoint=one, logging=QUIET)


@pytest.fixture(name="undisturbed", scope="module")
def fixture_undisturbed(tmp_path_factory, tiny_dataset, config):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train(config, tiny_dataset, folder)


def history(workdir):
    rows = json.loads((workdir / files.HISTORY).read_text())
    return [(r["val_loss"], r["best_epoch"]) for r in rows]


def test_the_final_weights_are_the_best_ones(undisturbed, capsys):
    folder, result = undisturbed
    losses = [loss for loss, _ in history(folder)]
    assert result.best.epoch == 1 + int(np.argmin(losses))
    assert result.best.value == min(losses)
    assert result.epochs == len(losses) == result.best.epoch + 2 < 20
    assert [best for _, best in history(folder)][-1] == result.best.epoch
    assert files.read_json(folder / files.RESULT, {})["best"] == (
        dataclasses.asdict(result.best)
    )
    tagger = load_tagger(folder)
    assert weights_sha256(tagger.weights) == result.weights_sha256
    kept = checkpoint_files.checkpoints(folder)
    steps = [3 * result.best.epoch, 3 * result.epochs]
    assert [c.position.step for c in kept] == steps
    best = Tagger(tagger.config, tagger.classes)
    best.load_weights(kept[0].path)
    assert weights_sha256(best.weights) == result.weights_sha256


def test_it_says_which_weights_and_why(undisturbed, config, tiny_dataset):
    folder, result = undisturbed
    said = (folder / files.LOG).read_text()
    assert (
        f"ended after epoch {result.epochs} of 20: for 2 looks no loss on "
        f"validation was better than that of {result.best}"
    ) in said
    path = folder / "as_it_is.json"
    path.write_text(config.to_json())
    again = run("train", tiny_dataset, "--workdir", folder, "--config", path)
    assert f"weights of epoch {result.best.epoch} (loss " in again.output


@pytest.mark.parametrize("behind", [-1, 0])
def test_killed_at_an_epochs_end_it_counts_on(
    undisturbed, config, tiny_dataset, tmp_path, monkeypatch, behind
):
    folder, result = undisturbed
    last = result.epochs + behind

    def cut(self, epoch, logs=None):
        # All is saved; the last time so is that the training is over.
        if epoch + 1 == last:
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(StopOnRequest, "on_epoch_end", cut)
        train(config, tiny_dataset, tmp_path)
    again = train(config, tiny_dataset, tmp_path)
    assert again.weights_sha256 == result.weights_sha256
    assert (again.epochs, again.best) == (result.epochs, result.best)
    assert history(tmp_path) == history(folder)


def test_one_that_has_stopped_is_extended(
    undisturbed, config, tiny_dataset, tmp_path
):
    folder = shutil.copytree(undisturbed[0], tmp_path / "run")
    before = undisturbed[1]
    slower = override(config, ["schedule.learning_rate=0.0001"])
    result = train(slower, tiny_dataset, folder, TrainOptions(extend=True))
    # As many looks again, from the last weights and not from the best.
    assert result.epochs >= before.epochs + 2
    [note] = extension_notes.load(folder)
    assert (note.epoch, note.result["best"]) == (
        before.epochs,
        dataclasses.asdict(before.best),
    )
    rows = history(folder)
    assert rows[: before.epochs] == history(undisturbed[0])
    assert result.best.value == min(loss for loss, _ in rows)


def test_a_damaged_best_checkpoint_is_named(
    config, tiny_dataset, tmp_path, monkeypatch
):
    original = best_epoch.JudgeEpochs.on_train_end

    def damage(self, logs=None):
        path = checkpoint_files.checkpoint_path(tmp_path, self.best.step)
        path.write_bytes(path.read_bytes()[:-1])
        original(self, logs)

    monkeypatch.setattr(best_epoch.JudgeEpochs, "on_train_end", damage)
    with pytest.raises(InputError, match="has the best weights, but it has"):
        train(config, tiny_dataset, tmp_path)
    assert not (tmp_path / files.WEIGHTS).exists()


def test_refusals_before_any_work(tiny_config, tmp_path):
    with pytest.raises(InputError, match="schedule.validate_every over 0"):
        tiny_config(best="loss")
    with pytest.raises(InputError, match="schedule.stop_after must be 0, or"):
        tiny_config(validate_every=1, stop_after=1)
    dataset = write_dataset(tmp_path / "dataset")
    for path in (dataset / "validation").iterdir():
        path.unlink()
    config = tiny_config(validate_every=1, best="loss")
    with pytest.raises(InputError, match="no records in split 'validation'"):
        train(config, dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_two_workers_stop_at_the_same_epoch(config, tiny_dataset, tmp_path):
    options = TrainOptions(local_workers=2)
    result = train(config, tiny_dataset, tmp_path, options)
    losses = [loss for loss, _ in history(tmp_path)]
    assert result.best.epoch == 1 + int(np.argmin(losses))
    assert result.epochs == result.best.epoch + 2 < 12
    tagger = load_tagger(tmp_path)
    assert weights_sha256(tagger.weights) == result.weights_sha256
