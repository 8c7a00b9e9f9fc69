"""Tests of model.training.train: files, resume, refusals, workers."""

import json
from dataclasses import replace

import pytest

from beam_jobs.errors import InputError
from model import workdir as files
from model.config import Config, override
from model.network.load_tagger import load_tagger, weights_sha256
from model.training import local_workers
from model.training import prepare_workdir as prepare_workdir_
from model.training import run as run_
from model.training.options import TrainOptions
from model.training.train import train
from tests.helpers.commands import run


@pytest.fixture(name="finished", scope="module")
def fixture_finished(tmp_path_factory, tiny_dataset, tiny_config):
    """Returns the workdir and result of an undisturbed training."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, train(tiny_config(), tiny_dataset, folder)


def test_files_and_result(finished):
    folder, result = finished
    assert (result.epochs, result.steps) == (2, 6)
    names = {p.name for p in folder.iterdir()}
    assert names == {
        ".lock",
        "config.json",
        "dataset.json",
        "dataset_path.txt",
        "counts.json",
        "vocabulary.tsv",
        "hierarchy.tsv",
        "checkpoints",
        "logs",
        "train.log",
        "history.json",
        "result.json",
        "model.weights.h5",
    }
    rows = json.loads((folder / "history.json").read_text())
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[-1]["loss"] == result.loss
    assert rows[0]["images_per_second"] > 0


def test_it_says_which_data_set_and_where(finished, tiny_dataset):
    folder, _ = finished
    said = (folder / files.DATASET_PATH).read_text()
    assert said == f"{tiny_dataset.absolute()}\n"
    assert json.loads((folder / files.DATASET).read_text()) == {
        "fingerprint": None
    }


def test_loaded_tagger_has_the_trained_weights(finished):
    folder, result = finished
    tagger = load_tagger(folder)
    assert weights_sha256(tagger.weights) == result.weights_sha256
    assert tagger.runs.numpy()[0, 0] == 6


def test_few_steps_are_told(
    tiny_config, tiny_dataset, tmp_path, capsys, monkeypatch
):
    train(tiny_config(epochs=1), tiny_dataset, tmp_path / "few")
    assert "only 3 steps in all" in capsys.readouterr().out
    monkeypatch.setattr(run_, "_FEW_STEPS", 3)
    train(tiny_config(epochs=1), tiny_dataset, tmp_path / "enough")
    assert "steps in all" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "precision", "told"),
    [
        ("avx512f amx_bf16", "float32", True),
        ("avx512f amx_bf16", "mixed_bfloat16", False),
        ("avx512f", "float32", False),
    ],
)
def test_a_cpu_with_bfloat16_is_told(
    flags,
    precision,
    told,
    tiny_config,
    tiny_dataset,
    tmp_path,
    capsys,
    monkeypatch,
):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text(f"flags : fpu {flags} sse\n")
    monkeypatch.setattr(run_, "_CPU", cpu)
    change = f"network.precision={precision}"
    config = override(tiny_config(epochs=1), [change])
    train(config, tiny_dataset, tmp_path / "run")
    said = capsys.readouterr().out
    assert ("network.precision=mixed_bfloat16" in said) == told


def test_second_run_says_so_and_returns(finished, tiny_dataset, capsys):
    folder, result = finished
    config = Config.from_json((folder / "config.json").read_text())
    again = train(config, tiny_dataset, folder)
    assert again == result
    assert "trained already" in capsys.readouterr().out


def test_another_config_in_the_workdir_is_refused(
    finished, tiny_config, tiny_dataset
):
    folder, _ = finished
    with pytest.raises(InputError, match="schedule.epochs is 2 there, 3"):
        train(tiny_config(epochs=3), tiny_dataset, folder)


def of_earlier_version(workdir):
    """Leaves the config that a version with a shuffle buffer wrote."""
    path = workdir / files.CONFIG
    values = json.loads(path.read_text())
    for name in ("reading", "streams", "block_bytes", "shuffle_bytes"):
        del values["data"][name]
    values["data"]["shuffle_buffer"] = 65536
    path.write_text(json.dumps(values))


def test_the_order_of_an_earlier_version_is_refused(
    tiny_config, tiny_dataset, tmp_path
):
    prepare_workdir_.prepare(tmp_path, tiny_dataset, tiny_config())
    of_earlier_version(tmp_path)
    with pytest.raises(InputError, match="the order of an earlier version; "):
        train(tiny_config(), tiny_dataset, tmp_path)
    (tmp_path / files.RESULT).write_text("{}")
    prepare_workdir_.prepare(tmp_path, tiny_dataset, tiny_config())


def test_the_reading_is_settled_once(tiny_config, tiny_dataset, tmp_path):
    config = tiny_config()
    config = replace(config, data=replace(config.data, reading="auto"))
    prepare_workdir_.prepare(tmp_path, tiny_dataset, tiny_config())
    (tmp_path / files.CONFIG).write_text(
        override(config, ["data.reading=blocks"]).to_json()
    )
    with pytest.raises(InputError, match="data.reading is 'blocks' there, 're"):
        train(config, tiny_dataset, tmp_path)


def test_restart_throws_away_only_what_training_wrote(
    tiny_config, tiny_dataset, tmp_path
):
    (tmp_path / "notes.txt").write_text("mine")
    prepare_workdir_.prepare(tmp_path, tiny_dataset, tiny_config())
    files.write_json(tmp_path / files.HISTORY, [])
    other = tiny_config(epochs=3)
    prepare_workdir_.prepare(tmp_path, tiny_dataset, other, restart=True)
    assert not (tmp_path / files.HISTORY).exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / files.CONFIG).read_text() == other.to_json()


def test_refusals_before_any_work(tiny_config, tiny_dataset, tmp_path):
    with pytest.raises(InputError, match="is no data set"):
        train(tiny_config(), tmp_path / "absent", tmp_path / "run")
    with pytest.raises(InputError, match="only 24 training images"):
        train(tiny_config(batch_size=32), tiny_dataset, tmp_path / "run")
    with pytest.raises(InputError, match="local_workers must be at least 1"):
        train(
            tiny_config(),
            tiny_dataset,
            tmp_path / "run",
            TrainOptions(local_workers=0),
        )
    with pytest.raises(InputError, match="MB free"):
        prepare_workdir_.check_disk(tmp_path / "run", 10**18)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file"):
        train(tiny_config(), tiny_dataset, tmp_path / "file")


def test_command_line(tiny_config, tiny_dataset, tmp_path):
    (tmp_path / "tiny.json").write_text(tiny_config().to_json())
    outcome = run(
        *("train", tiny_dataset, "--workdir", tmp_path / "run"),
        *("--config", tmp_path / "tiny.json", "--set", "schedule.epochs=1"),
    )
    assert outcome.exit_code == 0, outcome.output
    assert "trained 1 epochs" in outcome.output
    assert (tmp_path / "run" / files.WEIGHTS).is_file()


def test_failing_worker_ends_all_and_shows_its_log(tmp_path, tiny_dataset):
    # No config lies in the workdir, so both workers fail at once.
    with pytest.raises(InputError, match="ended with status"):
        local_workers.launch(tiny_dataset, tmp_path, 2)


def test_different_weights_are_reported(tmp_path):
    for index, digest in enumerate(["aa", "bb"]):
        path = tmp_path / f"worker-{index}.json"
        files.write_json(path, {"weights_sha256": digest})
    with pytest.raises(InputError, match="different weights"):
        local_workers.check_equal_weights(tmp_path, 2)
    assert local_workers.check_equal_weights(tmp_path, 1) == "aa"
