"""Runs that go on: after a kill, an error, with the next span."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.scenes.write_scenes import write_scenes
from model.evaluation.gate_options import ModelGateOptions
from model.network.load_tagger import load_tagger
from serving.api.version_folders import find_versions
from tests.helpers.pipelines import (
    SMALL,
    SPLITS,
    options_of,
    ran,
    small_scenes,
)
from tfx_pipeline import names
from tfx_pipeline.local_runner import run
from tfx_pipeline.outcomes import ComponentFailedError
from tfx_pipeline.report import open_store

pytestmark = [pytest.mark.large, pytest.mark.ci, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return small_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def options(scenes, tmp_path):
    return options_of(tmp_path, scenes)


def test_a_nearly_constant_model_is_held_back(options, tmp_path):
    # Alone, without a model to beat.
    bad = ("schedule.learning_rate=1.0", "schedule.warmup=0.0")
    gate = ModelGateOptions(min_validation_images=1)
    constant = replace(
        options,
        root=str(tmp_path),
        overrides=(*SMALL, *bad),
        model_gate=gate,
    )
    result = run(constant)
    assert not result.blessed and result.pushed_to is None
    assert any("of the most frequent tags" in r for r in result.reasons)
    assert not find_versions(Path(constant.model_dir))


def test_two_spans_and_an_answer_that_changes(scenes, tmp_path):
    from serving.api.server_options import ServerOptions
    from serving.client.tag_client import TagClient
    from serving.saved_model.warmup import sample_image
    from serving.server.local_server import running_server

    (tmp_path / "span-1").symlink_to(scenes)
    options = options_of(
        tmp_path / "out",
        tmp_path / "span-{SPAN}",
        imagenet=(),
        warm_start=True,
        accept_data=True,
    )
    first = run(options)
    vocabulary = Path(first.pushed_to, "assets/vocabulary.tsv").read_text()
    serving = ServerOptions(grpc_port=0, rest_port=0, poll_s=0.1)
    with (
        running_server(Path(options.model_dir), serving) as server,
        TagClient(server.grpc_address) as client,
    ):
        (before,) = client.tag([sample_image()])
        write_scenes(
            tmp_path / "span-2",
            imagenet_images_per_class=0,
            open_images=120,
            image_size=32,
            seed=1,
            progress=False,
        )
        second = run(options)
        assert second.pushed_to != first.pushed_to
        deadline = time.monotonic() + 60
        while client.version() != int(Path(second.pushed_to).name):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (after,) = client.tag([sample_image()])
    assert before.model_version != after.model_version
    # Old classes keep their places.
    grown = Path(second.pushed_to, "assets/vocabulary.tsv").read_text()
    rows = zip(vocabulary.splitlines(), grown.splitlines(), strict=False)
    assert all(a.split("\t")[:2] == b.split("\t")[:2] for a, b in rows)
    config = json.loads(
        Path(second.pushed_to, "assets/config.json").read_text()
    )
    assert config["start"]["source"].endswith("/run")


def test_a_killed_training_goes_on(scenes, tmp_path):
    longer = (*SMALL, "schedule.epochs=40", "checkpoint.every_steps=3")
    undisturbed = options_of(tmp_path / "a", scenes, overrides=longer)
    run(undisturbed)
    command = [
        *(sys.executable, "-m", "tfx_pipeline.cli", "pipeline"),
        *("--imagenet", scenes / "imagenet"),
        *("--open-images", scenes / "open_images"),
        *("--min-images-open-images", "1", "--validation-per-class", "0"),
        *("--splits", SPLITS),
        *("--min-gain", "-1", "--min-validation-images", "1"),
        *(word for field in longer for word in ("--set", field)),
        *("--root", tmp_path / "b"),
    ]
    kill = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while not any("epoch  2/40" in text for text in logs(tmp_path / "b")):
        assert kill.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    kill.send_signal(signal.SIGKILL)
    kill.wait()
    disturbed = options_of(tmp_path / "b", scenes, overrides=longer)
    running = [
        e
        for e in open_store(disturbed.root).get_executions()
        if e.last_known_state == e.RUNNING
    ]
    assert len(running) == 1
    run(disturbed)
    states = {e.id: e for e in open_store(disturbed.root).get_executions()}
    was = states[running[0].id]
    assert was.last_known_state == was.CANCELED
    # Bit for bit is what tests of `model` ask of one process and one machine.
    # This compares two processes, one of them full of TFX: once, on a machine
    # of CI, they rounded differently.
    a, b = weights(undisturbed), weights(disturbed)
    assert np.linalg.norm(a - b) < 1e-3 * np.linalg.norm(a)
    assert losses(undisturbed) == pytest.approx(losses(disturbed), rel=1e-4)
    (log,) = logs(tmp_path / "b")
    assert "going on after" in log


def logs(root):
    return [p.read_text() for p in root.glob("training/*/train.log")]


def trained(options):
    (folder,) = Path(options.root).glob("training/*/")
    return folder


def weights(options):
    tagger = load_tagger(trained(options))
    return np.concatenate([w.numpy().ravel() for w in tagger.weights])


def losses(options):
    rows = json.loads((trained(options) / "history.json").read_text())
    assert len(rows) == 40
    return [row["loss"] for row in rows]


def test_another_error_is_said_in_a_line(options, tmp_path, monkeypatch):
    from tfx_pipeline.components import calibrator

    def fails(*_, **__):
        raise ZeroDivisionError("by hand")

    monkeypatch.setattr(calibrator, "evaluate", fails)
    given = replace(options, root=str(tmp_path))
    with pytest.raises(
        ComponentFailedError, match="Calibrator failed: ZeroDivisionError"
    ):
        run(given)
    assert "by hand" in (tmp_path / "reports/failure.txt").read_text()
    monkeypatch.undo()
    lines = []
    assert run(given, lines.append).blessed
    assert names.TRAINER not in ran(lines)
