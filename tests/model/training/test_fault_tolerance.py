"""Tests of what a training does when it is interrupted or goes wrong."""

import dataclasses
import json
import shutil
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model import checkpoint_files
from model import workdir as files
from model.config import CheckpointConfig, Config, override
from model.network.load_tagger import load_tagger, weights_sha256
from model.training import checkpoints, local_workers
from model.training import prepare_workdir as prepare_workdir_
from model.training.options import TrainOptions
from model.training.stop_requests import StopOnRequest
from model.training.train import train
from model.workers.endings import StoppedError

TIMES = ("seconds", "images_per_second")


class PowerCut(Exception):
    """Stands for the end of the process."""


@pytest.fixture(name="config", scope="module")
def fixture_config(tiny_config):
    """Returns three epochs of 3 steps, saved every 2, with dropout."""
    config = tiny_config(epochs=3)
    network = dataclasses.replace(config.network, dropout=0.2)
    every = CheckpointConfig(every_steps=2, keep=3)
    return dataclasses.replace(config, network=network, checkpoint=every)


@pytest.fixture(name="undisturbed", scope="module")
def fixture_undisturbed(tmp_path_factory, tiny_dataset, config):
    """Returns the result and history rows of an undisturbed training."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return train(config, tiny_dataset, folder), history(folder)


def history(workdir):
    rows = json.loads((workdir / files.HISTORY).read_text())
    return [{k: v for k, v in r.items() if k not in TIMES} for r in rows]


def after_step(monkeypatch, step, action):
    """Does something in this process when a training has done a step."""
    original = StopOnRequest.on_train_batch_end

    def end(self, batch, logs=None):
        original(self, batch, logs)
        if int(self.model.optimizer.iterations) == step:
            action()

    monkeypatch.setattr(StopOnRequest, "on_train_batch_end", end)


def cut_power():
    raise PowerCut


def test_interrupted_in_mid_epoch_equals_undisturbed(
    undisturbed, config, tiny_dataset, tmp_path, monkeypatch, capsys
):
    result, rows = undisturbed
    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        after_step(patch, 5, cut_power)
        train(config, tiny_dataset, tmp_path)
    found = checkpoint_files.checkpoints(tmp_path)
    assert [c.position.step for c in found] == [2, 3, 4]
    assert (found[2].position.epoch, found[2].position.batch) == (1, 1)

    # The newest is damaged, and one after it was never finished.
    content = bytearray(found[2].path.read_bytes())
    content[len(content) // 2] ^= 1
    found[2].path.write_bytes(content)
    checkpoint_files.checkpoint_path(tmp_path, 5).write_bytes(b"half")
    found[1].path.write_bytes(found[1].path.read_bytes()[:-1])
    # Other checkpoint settings change nothing in the result.
    other = dataclasses.replace(config, checkpoint=CheckpointConfig())
    again = train(other, tiny_dataset, tmp_path)
    said = capsys.readouterr().out
    assert "000000005.weights.h5 is passed over: its writing was" in said
    assert "000000004.weights.h5 is passed over: its content has" in said
    assert "000000003.weights.h5 is passed over: it has not the" in said
    assert "going on after step 2, step 2 of epoch 1" in said
    assert again.weights_sha256 == result.weights_sha256
    assert history(tmp_path) == rows
    assert Config.from_json((tmp_path / files.CONFIG).read_text()) == other
    steps = [c.position.step for c in checkpoint_files.checkpoints(tmp_path)]
    assert steps == [6, 9]


def test_sigterm_saves_and_ends_with_143(
    undisturbed, config, tiny_dataset, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch, pytest.raises(StoppedError) as stopped:
        after_step(patch, 4, lambda: signal.raise_signal(signal.SIGTERM))
        train(config, tiny_dataset, tmp_path)
    assert stopped.value.code == 143
    where = checkpoint_files.latest_checkpoint(tmp_path).position
    assert (where.step, where.epoch, where.batch) == (5, 1, 2)
    said = capsys.readouterr().out
    assert f"stopped by SIGTERM after {where}; all is saved" in said
    again = train(config, tiny_dataset, tmp_path)
    assert again.weights_sha256 == undisturbed[0].weights_sha256


@pytest.mark.large
@pytest.mark.ci
def test_sigterm_to_a_process(tiny_config, tiny_dataset, tmp_path):
    config = tiny_config(epochs=2000)
    prepare_workdir_.prepare(tmp_path, tiny_dataset, config)
    command = [sys.executable, "-m", "model.training.worker"]
    command += [str(tiny_dataset), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / files.HISTORY).exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 143, said
    where = checkpoint_files.latest_checkpoint(tmp_path).position
    assert f"stopped by SIGTERM after {where}; all is saved" in said
    assert 3 <= where.step < 6000


def damaged(dataset, folder, split="train"):
    """Returns a copy with another byte in the second record of a shard."""
    shutil.copytree(dataset, folder)
    shard = min((folder / split).glob("*.tfrecord"))
    content = bytearray(shard.read_bytes())
    [length] = struct.unpack_from("<Q", content)
    content[length + 16 + 40] ^= 1
    shard.write_bytes(content)
    return shard, length + 16 + 12


def test_a_damaged_shard_is_named(config, tiny_dataset, tmp_path):
    shard, byte = damaged(tiny_dataset, tmp_path / "dataset")
    with pytest.raises(InputError, match=f"^{shard} is damaged at byte {byte}"):
        train(config, tmp_path / "dataset", tmp_path / "run")


def test_damaged_records_are_passed_over_and_counted(
    config, tiny_dataset, tmp_path, capsys
):
    shard, byte = damaged(tiny_dataset, tmp_path / "dataset")
    workdir = tmp_path / "run"
    with pytest.raises(InputError, match=f"^{shard} is damaged at byte {byte}"):
        train(config, tmp_path / "dataset", workdir)
    # The same training goes on: the share changes no other result.
    config = override(config, ["data.skip_damaged=0.05"])
    result = train(config, tmp_path / "dataset", workdir)
    assert result.damaged == 1
    line = f"{shard} is damaged at byte {byte};"
    said = capsys.readouterr()
    assert f"passed over: {line}" in said.err
    path = workdir / files.DAMAGED
    assert f"1 damaged records were passed over: {path}" in said.out
    assert path.read_text().startswith(line)


def test_a_damaged_shard_of_validation_is_named(
    tiny_config, tiny_dataset, tmp_path
):
    config = tiny_config(epochs=1, validate_every=1)
    shard, byte = damaged(tiny_dataset, tmp_path / "dataset", "validation")
    with pytest.raises(InputError, match=f"^{shard} is damaged at byte {byte}"):
        train(config, tmp_path / "dataset", tmp_path / "run")


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.parametrize("local_workers", [1, 2])
def test_a_process_that_finds_damage_ends(
    local_workers, tiny_config, tiny_dataset, tmp_path
):
    shard, byte = damaged(tiny_dataset, tmp_path / "dataset")
    config = tmp_path / "config.json"
    config.write_text(tiny_config().to_json())
    command = [sys.executable, "-m", "tfx_pipeline.cli", "train"]
    command += [str(tmp_path / "dataset"), "--workdir", str(tmp_path / "run")]
    command += ["--config", str(config), "--local-workers", str(local_workers)]
    # Long enough to load TensorFlow twice; without an end it is for ever.
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        f"tagforest: {shard} is damaged at byte {byte};"
    )


def test_a_full_disk_is_one_line_and_goes_on_later(
    undisturbed, config, tiny_dataset, tmp_path, monkeypatch
):
    original = checkpoints.SaveCheckpoints._bytes
    with monkeypatch.context() as patch, pytest.raises(InputError) as caught:
        # No disk has so much: that of step 4 is not begun.
        patch.setattr(
            checkpoints.SaveCheckpoints,
            "_bytes",
            lambda self: 2**62 if has_step(tmp_path, 3) else original(self),
        )
        train(config, tiny_dataset, tmp_path)
    said = str(caught.value)
    assert said.startswith(
        f"{tmp_path}: No space left on device: the checkpoint of step 4 is not "
        "written; the last good checkpoint is step 3, the end of epoch 1; free "
    )
    assert said.endswith(" MB and run the same command")
    assert "\n" not in said
    again = train(config, tiny_dataset, tmp_path)
    assert again.weights_sha256 == undisturbed[0].weights_sha256


def has_step(workdir, step):
    found = checkpoint_files.checkpoints(workdir)
    return step in [c.position.step for c in found]


def test_the_bytes_of_a_checkpoint_are_foreseen(
    config, tiny_dataset, tmp_path, monkeypatch
):
    foreseen = []
    original = checkpoints.SaveCheckpoints._bytes
    monkeypatch.setattr(
        checkpoints.SaveCheckpoints,
        "_bytes",
        lambda self: foreseen.append(original(self)) or foreseen[-1],
    )
    train(config, tiny_dataset, tmp_path)
    taken = checkpoint_files.latest_checkpoint(tmp_path).bytes
    # The first one knows the numbers and not what HDF5 adds.
    assert 0.05 * taken < foreseen[0] < taken + 8192
    assert set(foreseen[1:]) == {taken + 4096}


@pytest.fixture(name="two_workers", scope="module")
def fixture_two_workers(tmp_path_factory, tiny_config, tiny_dataset):
    """Returns a config and what an undisturbed training of two ends with."""
    config = dataclasses.replace(
        tiny_config(epochs=4), checkpoint=CheckpointConfig(every_steps=2)
    )
    folder = tmp_path_factory.mktemp("two") / "undisturbed"
    result = train(config, tiny_dataset, folder, TrainOptions(local_workers=2))
    return config, folder, result


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_two_local_workers_end_with_equal_weights(two_workers):
    _, folder, result = two_workers
    reports = sorted((folder / files.WORKERS).glob("worker-*.json"))
    digests = {json.loads(r.read_text())["weights_sha256"] for r in reports}
    assert len(reports) == 2
    assert digests == {result.weights_sha256}
    assert weights_sha256(load_tagger(folder).weights) in digests


def check_killed_worker(
    two_workers, dataset, folder, monkeypatch, kill, started_again
):
    """Kills a worker: it is started again, or the next command goes on."""
    config, undisturbed, _ = two_workers
    workdir, markers = folder / "run", folder / "kills"
    markers.mkdir()
    monkeypatch.setattr(local_workers, "MODULE", "tests.helpers.killed_worker")
    monkeypatch.setenv("KILLS", kill)
    monkeypatch.setenv("MARKERS", str(markers))
    prepare_workdir_.prepare(workdir, dataset, config)
    if not started_again:
        with pytest.raises(InputError, match="was killed by SIGKILL"):
            local_workers.launch(dataset, workdir, 2)
    local_workers.launch(dataset, workdir, 2, int(started_again))
    assert len(list(markers.iterdir())) == 1
    assert weights_report(workdir) == weights_report(undisturbed)
    assert history(workdir) == history(undisturbed)


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_a_killed_worker_is_started_again(
    two_workers, tiny_dataset, tmp_path, monkeypatch
):
    check_killed_worker(
        two_workers, tiny_dataset, tmp_path, monkeypatch, "1:8:begin", True
    )


@pytest.mark.large
@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(10))
def test_killed_workers_end_with_the_same_weights(
    two_workers, tiny_dataset, tmp_path, monkeypatch, turn
):
    random = np.random.default_rng(turn)
    worker, step = random.integers(2), random.integers(1, 13)
    places = ["begin", "end", "saving", "publishing"]
    place = random.choice(places[:2] if worker else places)
    kill = f"{worker}:{step}:{place}"
    check_killed_worker(
        two_workers, tiny_dataset, tmp_path, monkeypatch, kill, turn % 2 == 0
    )


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_sigterm_to_one_worker_stops_both_at_the_same_step(
    two_workers, tiny_dataset, tmp_path, monkeypatch
):
    config, undisturbed, _ = two_workers
    monkeypatch.setattr(local_workers, "MODULE", "tests.helpers.killed_worker")
    monkeypatch.setenv("KILLS", "1:5:begin")
    monkeypatch.setenv("KILL_SIGNAL", "SIGTERM")
    (tmp_path / "markers").mkdir()
    monkeypatch.setenv("MARKERS", str(tmp_path / "markers"))
    workdir = tmp_path / "run"
    with pytest.raises(StoppedError) as stopped:
        train(
            config,
            tiny_dataset,
            workdir,
            TrainOptions(local_workers=2),
        )
    assert stopped.value.code == 143
    found = checkpoint_files.latest_checkpoint(workdir)
    # Worker 1 is asked as step 5 begins, and all know when it ends.
    assert found.position.step in (5, 6)
    train(config, tiny_dataset, workdir, TrainOptions(local_workers=2))
    assert weights_report(workdir) == weights_report(undisturbed)


def weights_report(workdir):
    return files.read_json(workdir / files.RESULT, {})["weights_sha256"]
