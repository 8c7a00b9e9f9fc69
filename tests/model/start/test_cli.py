"""The commands that start from something, as they are typed."""

import json

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model import workdir as files
from tests.helpers.commands import run
from tests.helpers.released_graph import ReleasedGraph


@pytest.fixture(name="released", scope="module")
def fixture_released(tmp_path_factory, tiny_dataset):
    """Returns the run of a checkpoint with the data set's classes."""
    folder = tmp_path_factory.mktemp("released")
    graph = ReleasedGraph((1,), (8,))
    images = np.zeros((1, 32, 32, 3), np.float32)
    graph.save(folder / "resnet.ckpt", images, 5)
    done = run(
        *("import-tf1", folder / "resnet.ckpt", "--out", folder / "run"),
        *("--classes", tiny_dataset / "vocabulary.tsv"),
    )
    assert done.exit_code == 0, done.output
    assert "next: tagforest evaluate" in done.output
    return folder / "run"


def test_a_released_checkpoint_is_gone_on_with(
    released, tiny_dataset, tmp_path
):
    done = run(
        *("train", tiny_dataset, "--workdir", tmp_path, "--from", released),
        *("--config", released / files.CONFIG),
        *("--freeze", "backbone"),
        *("--set", "schedule.batch_size=8", "--set", "schedule.epochs=1"),
        *("--set", "start.cache_features=True"),
        *("--set", "logging.metric_images=0", "--set", "logging.images=0"),
    )
    assert done.exit_code == 0, done.output
    assert "of its head's 5 classes 5, which the data set has" in done.output
    start = json.loads((tmp_path / files.CONFIG).read_text())["start"]
    assert start == {
        "source": str(released),
        "take": "all",
        "freeze": ["backbone"],
        "zero_head": False,
        "cache_features": True,
    }


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--freeze", "backbone"), "start.freeze must be empty without"),
        (("--from", "x", "--freeze", "tail"), "one of backbone, old_classes"),
        (("--from", "nowhere"), "nowhere, which does not exist"),
        (
            ("--from", "x", "--set", "start.cache_features=True"),
            "start.cache_features must be False without a frozen backbone",
        ),
    ],
)
def test_wrong_options_are_refused(tiny_dataset, tmp_path, options, wrong):
    workdir = tmp_path / "new"
    done = run("train", tiny_dataset, "--workdir", workdir, *options)
    assert isinstance(done.exception, InputError)
    assert wrong in str(done.exception)
    assert not workdir.exists()
