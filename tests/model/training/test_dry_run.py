"""Tests of what a dry run finds, against a real training."""

import json

import pytest

from beam_jobs.errors import InputError
from model import checkpoint_files
from model import workdir as files
from model.network.load_tagger import load_tagger
from model.training.options import TrainOptions
from model.training.train import estimate, train
from tests.helpers.commands import run
from tests.helpers.datasets import file_hashes


@pytest.fixture(name="config", scope="module")
def fixture_config(tiny_config):
    return tiny_config(epochs=3, optimizer="adamw", validate_every=2)


def test_it_finds_what_a_training_takes(
    config, tiny_dataset, tmp_path, monkeypatch
):
    workdir = tmp_path / "run"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = estimate(config, tiny_dataset, workdir)
    assert not workdir.exists()
    assert list(tmp_path.glob("tagforest-*")) == []

    result = train(config, tiny_dataset, workdir)
    assert found.steps * found.epochs == result.steps
    # After the second epoch, and after the last.
    assert found.looks == 2
    memory, tagger = found.memory, load_tagger(workdir)
    assert memory.parameters == tagger.count_params()
    trained = sum(v.numpy().nbytes for v in tagger.trainable_variables)
    assert memory.gradients == trained
    # AdamW's two moments, its step and its rate.
    assert 0 <= memory.optimizer - 2 * trained <= 16
    assert memory.weights == sum(v.numpy().nbytes for v in tagger.weights)
    disk = found.disk
    saved = checkpoint_files.checkpoints(workdir)
    assert disk.checkpoint == pytest.approx(saved[-1].bytes, rel=0.01)
    assert disk.checkpoints == len(saved) + 1
    final = (workdir / files.WEIGHTS).stat().st_size
    assert disk.weights == pytest.approx(final, rel=0.01)
    assert found.network == 0
    each = found.seconds
    assert min(each.start, each.step, each.epoch_end, each.look) > 0


def test_a_worker_takes_its_share(config, tiny_dataset, tmp_path):
    two = TrainOptions(local_workers=2)
    found = estimate(config, tiny_dataset, tmp_path / "run", two)
    memory = found.memory
    assert (found.batch_size, found.steps, memory.images) == (8, 3, 4)
    assert found.network == memory.gradients + memory.averages


def test_a_folder_with_a_training_stays_as_it_is(
    tiny_config, tiny_dataset, tmp_path
):
    train(tiny_config(epochs=1), tiny_dataset, tmp_path)
    before = file_hashes(tmp_path)
    with pytest.raises(InputError, match="--extend to go on with this one"):
        estimate(tiny_config(epochs=3), tiny_dataset, tmp_path)
    found = estimate(
        tiny_config(epochs=3),
        tiny_dataset,
        tmp_path,
        TrainOptions(extend=True),
    )
    assert found.epochs == 3
    assert file_hashes(tmp_path) == before


def test_command_line(tiny_config, tiny_dataset, tmp_path):
    (tmp_path / "tiny.json").write_text(tiny_config().to_json())
    words = ["train", tiny_dataset, "--workdir", tmp_path / "run"]
    words += ["--config", tmp_path / "tiny.json"]
    told = run(*words, "--dry-run")
    assert told.exit_code == 0, told.output
    assert "\ntime in all" in told.output
    told = run(*words, "--dry-run", "--json")
    text = told.stdout
    found = json.loads(text[text.index("{\n") :])
    assert found["steps"] == 3
    assert not (tmp_path / "run").exists()
    assert isinstance(run(*words, "--json").exception, InputError)
