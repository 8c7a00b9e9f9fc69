"""Tests of going on with another schedule."""

import dataclasses
import json
import shutil
import signal

import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model import checkpoint_files, extension_notes
from model import workdir as files
from model.config import CheckpointConfig, Config, override
from model.training import extension, local_workers
from model.training import prepare_workdir as prepare_workdir_
from model.training.options import TrainOptions
from model.training.stop_requests import StopOnRequest
from model.training.train import train
from model.workers.endings import StoppedError
from tests.helpers.configs import QUIET

EXTEND = TrainOptions(extend=True)
TIMES = ("seconds", "images_per_second")


class PowerCut(Exception):
    """Stands for the end of the process."""


@pytest.fixture(name="config", scope="module")
def fixture_config(tiny_config):
    """Returns the config of so many epochs of 3 steps, at a constant rate."""

    def config(epochs, **schedule):
        made = tiny_config(epochs=epochs, decay="constant", **schedule)
        network = dataclasses.replace(made.network, dropout=0.2)
        every = CheckpointConfig(every_steps=2)
        return dataclasses.replace(
            made, network=network, checkpoint=every, logging=QUIET
        )

    return config


@pytest.fixture(name="at_once", scope="module")
def fixture_at_once(tmp_path_factory, tiny_dataset, config):
    """Returns workdir and result of four epochs from the start."""
    folder = tmp_path_factory.mktemp("at_once")
    return folder, train(config(4), tiny_dataset, folder)


@pytest.fixture(name="of_two", scope="module")
def fixture_of_two(tmp_path_factory, tiny_dataset, config):
    """Returns workdir and result of two epochs."""
    folder = tmp_path_factory.mktemp("two")
    return folder, train(config(2), tiny_dataset, folder)


@pytest.fixture(name="two")
def fixture_two(of_two, tmp_path):
    """Returns a copy of the workdir of two epochs."""
    return shutil.copytree(of_two[0], tmp_path / "two")


def history(workdir):
    rows = json.loads((workdir / files.HISTORY).read_text())
    left_out = (*TIMES, "extended")
    return [{k: v for k, v in r.items() if k not in left_out} for r in rows]


def test_more_epochs_equal_all_at_once(
    at_once, of_two, two, config, tiny_dataset, capsys
):
    folder, expected = at_once
    result = train(config(4), tiny_dataset, two, EXTEND)
    assert result.weights_sha256 == expected.weights_sha256
    assert (result.epochs, result.steps) == (4, 12)
    assert history(two) == history(folder)
    said = (two / files.LOG).read_text()
    line = "extended after step 6, the end of epoch 2: schedule.epochs 2 -> 4"
    assert line in said
    # Nothing jumps: there is nothing to say of it.
    assert "learning rate" not in said

    [note] = extension_notes.load(two)
    assert note.changed == {"schedule.epochs": {"from": 2, "to": 4}}
    before = of_two[0] / files.WEIGHTS
    assert (two / note.weights).read_bytes() == before.read_bytes()
    assert note.result["weights_sha256"] == of_two[1].weights_sha256
    rows = json.loads((two / files.HISTORY).read_text())
    extended = [row.get("extended") for row in rows]
    assert extended == [None, None, [note.changed], None]
    assert line in "".join(texts_for_tensorboard(two))

    # The same command again has nothing to do.
    capsys.readouterr()
    assert train(config(4), tiny_dataset, two, EXTEND) == result
    assert "is trained already: 4 epochs" in capsys.readouterr().out
    assert len(extension_notes.load(two)) == 1


def texts_for_tensorboard(workdir):
    for path in sorted((workdir / files.LOGS).glob("events*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag == "extended":
                    assert event.step == 6
                    yield tf.make_ndarray(value.tensor).item().decode()


def test_killed_and_extended_a_second_time(
    at_once, two, config, tiny_dataset, monkeypatch
):
    def cut(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 8:
            raise PowerCut

    def stop(self, batch, logs=None):
        if int(self.model.optimizer.iterations) == 10:
            signal.raise_signal(signal.SIGTERM)
        original(self, batch, logs)

    original = StopOnRequest.on_train_batch_end
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(StopOnRequest, "on_train_batch_end", cut)
        train(config(3), tiny_dataset, two, EXTEND)
    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(StopOnRequest, "on_train_batch_end", stop)
        train(config(4), tiny_dataset, two, EXTEND)
    # What is extended already goes on without the word.
    result = train(config(4), tiny_dataset, two)
    assert result.weights_sha256 == at_once[1].weights_sha256
    notes = extension_notes.load(two)
    assert [n.step for n in notes] == [6, 8]
    assert [n.changed["schedule.epochs"]["to"] for n in notes] == [3, 4]
    assert history(two) == history(at_once[0])


def test_another_decay_follows_the_new_schedule_and_says_so(
    two, config, tiny_dataset
):
    cosine = override(config(4), ["schedule.decay=cosine"])
    train(cosine, tiny_dataset, two, EXTEND)
    said = (two / files.LOG).read_text()
    assert "schedule.decay constant -> cosine, schedule.epochs 2 -> 4" in said
    assert (
        "the learning rate goes on at 0.025, as the new schedule has it "
        "there; the one before has 0.05\n"
    ) in said


def test_killed_before_the_config_is_written(two, config, tiny_dataset):
    note = prepare_workdir_.check(two, tiny_dataset, config(4), extend=True)
    extension.begin(two, note)
    assert not (two / files.RESULT).exists()
    prepare_workdir_.prepare(two, tiny_dataset, config(4), extend=True)
    [found] = extension_notes.load(two)
    assert found == note
    written = Config.from_json((two / files.CONFIG).read_text())
    assert written == config(4)


def test_what_cannot_change_is_named(two, config, tiny_dataset):
    wrong = override(config(4), ["network.dropout=0.1", "loss.kind=bce"])
    with pytest.raises(InputError) as caught:
        train(wrong, tiny_dataset, two, EXTEND)
    assert str(caught.value).startswith(
        "--extend goes on with another schedule alone, of the same "
        "batch_size, optimizer, use of momentum and of average; loss.kind is "
        "'paper' there, 'bce' here, network.dropout is 0.2 there, 0.1 here; "
        "take "
    )
    for field in ("batch_size=4", "optimizer=adamw", "momentum=0.0"):
        changed = override(config(4), [f"schedule.{field}"])
        with pytest.raises(InputError, match="another schedule alone"):
            train(changed, tiny_dataset, two, EXTEND)
    with pytest.raises(InputError, match="schedule.epochs must be at least 2"):
        train(config(1), tiny_dataset, two, EXTEND)
    # Nothing has happened to it.
    assert extension_notes.load(two) == []
    assert train(config(2), tiny_dataset, two).epochs == 2


def test_without_the_word_it_is_offered_where_it_helps(
    two, config, tiny_dataset
):
    with pytest.raises(InputError, match="--extend to go on with this one"):
        train(config(4), tiny_dataset, two)
    other = override(config(4), ["loss.kind=bce"])
    with pytest.raises(InputError) as caught:
        train(other, tiny_dataset, two)
    assert "--extend" not in str(caught.value)


def test_there_must_be_something_to_extend(two, config, tiny_dataset, tmp_path):
    with pytest.raises(InputError, match="holds no training to --extend"):
        train(config(2), tiny_dataset, tmp_path / "new", EXTEND)
    shutil.rmtree(two / checkpoint_files.FOLDER)
    with pytest.raises(InputError, match="has no checkpoint to go on from"):
        train(config(4), tiny_dataset, two, EXTEND)
    with pytest.raises(InputError, match="give one of them"):
        TrainOptions(extend=True, restart=True)


def test_restart_throws_former_weights_away_too(two, config, tiny_dataset):
    prepare_workdir_.prepare(two, tiny_dataset, config(4), extend=True)
    assert (two / "model-epoch-2.weights.h5").is_file()
    prepare_workdir_.clear(two)
    assert {p.name for p in two.iterdir()} == {".lock"}


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_two_workers_extend_and_one_is_killed(
    config, tiny_dataset, tmp_path, monkeypatch
):
    two_workers = TrainOptions(local_workers=2)
    straight, workdir = tmp_path / "straight", tmp_path / "run"
    expected = train(config(4), tiny_dataset, straight, two_workers)
    train(config(2), tiny_dataset, workdir, two_workers)
    monkeypatch.setattr(local_workers, "MODULE", "tests.helpers.killed_worker")
    monkeypatch.setenv("KILLS", "1:9:begin")
    (tmp_path / "markers").mkdir()
    monkeypatch.setenv("MARKERS", str(tmp_path / "markers"))
    again = TrainOptions(local_workers=2, max_restarts=1, extend=True)
    result = train(config(4), tiny_dataset, workdir, again)
    assert len(list((tmp_path / "markers").iterdir())) == 1
    assert result.weights_sha256 == expected.weights_sha256
    assert history(workdir) == history(straight)
