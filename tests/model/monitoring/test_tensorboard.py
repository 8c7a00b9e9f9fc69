"""Tests of what a training writes for TensorBoard, and of going on."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.projector import ProjectorConfig
from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

from model.config import LoggingConfig, LossConfig
from model.monitoring.sample_board import SampleBoard, figures
from model.monitoring.tensorboard import (
    Curves,
    class_histograms,
    hyperparameters,
    open_writer,
)
from model.training.options import TrainOptions
from model.training.train import train

_STARTS_WITHIN = 120.0


class PowerCut(Exception):
    """Ends a training at once."""


@pytest.fixture(name="run", scope="module")
def fixture_run(tmp_path_factory, tiny_dataset, tiny_config):
    """Returns the workdir of a training of two epochs of 3 steps.

    It was cut off at the end of the second, before the checkpoint, and went
    on from the first; then its last two steps were profiled.
    """
    folder = tmp_path_factory.mktemp("board") / "run"
    logging = LoggingConfig(every=2, histograms_every=2, projector_images=5)
    config = dataclasses.replace(tiny_config(), logging=logging)
    write = SampleBoard.on_epoch_end

    def cut_off(self, epoch, logs=None):
        write(self, epoch, logs)
        if epoch == 1:
            raise PowerCut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SampleBoard, "on_epoch_end", cut_off)
        with pytest.raises(PowerCut):
            train(config, tiny_dataset, folder)
    assert steps_of(folder / "logs")["loss"] == [3, 5, 6]
    train(config, tiny_dataset, folder, TrainOptions(profile=(2, 3)))
    return folder


def steps_of(folder):
    """Returns tag -> steps, over all event files of a folder."""
    found = {}
    for path in sorted(folder.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                found.setdefault(value.tag, []).append(event.step)
    return found


def hparams_of(folder):
    """Returns what was said of starts of runs, over all event files."""
    found = []
    for path in sorted(folder.glob("events.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                if value.tag == "_hparams_/session_start_info":
                    content = value.metadata.plugin_data.content
                    found.append(HParamsPluginData.FromString(content))
    return found


def test_what_is_written_and_when(run):
    steps = steps_of(run / "logs")
    # Step 1 of each run compiles and is left out; 3 and 6 end an epoch.
    for name in ("loss", "learning_rate", "gradient_norm"):
        assert steps[name] == [3, 6]
    assert steps["images_per_second"] == [3, 6]
    assert steps["input_wait_share"] == [3, 6]
    assert steps["epoch_loss/train"] == steps["sample/f1_at_5"] == [3, 6]
    assert steps["sample/tags"] == steps["sample/recall_at_10"] == [3, 6]
    for name in ("positive_run", "negative_run", "class_coefficient"):
        assert steps[f"class_state/{name}"] == [2, 3, 5, 6]
    assert steps["class_state/positives_in_batch"] == [2, 3, 5, 6]
    assert steps["_hparams_/session_start_info"] == [0, 0]
    assert steps["_hparams_/session_end_info"] == [0]
    assert "epoch_gradient_norm/train" not in steps
    rows = json.loads((run / "history.json").read_text())
    assert "gradient_norm" not in rows[0]


def test_a_profile_marks_its_steps(run):
    [path] = (run / "logs" / "plugins" / "profile").glob("*/*.xplane.pb")
    space = XSpace.FromString(path.read_bytes())
    assert sorted(marked_steps(space)) == [2, 3]


def marked_steps(space):
    """Yields the numbers of the steps that the pages of a profile know."""
    for plane in space.planes:
        names = {i: m.name for i, m in plane.stat_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                stats = {names[s.metadata_id]: s for s in event.stats}
                if plane.event_metadata[event.metadata_id].name == "train":
                    assert stats["_r"].int64_value == 1
                    assert event.duration_ps > 0
                    yield stats["step_num"].int64_value


def test_projector_files(run):
    config = ProjectorConfig()
    text = (run / "logs" / "projector_config.pbtxt").read_text()
    embedding = text_format.Parse(text, config).embeddings[0]
    assert embedding.tensor_path == "projector/vectors.tsv"
    vectors = np.loadtxt(run / "logs" / embedding.tensor_path, delimiter="\t")
    assert vectors.shape == (5, 8)
    metadata = (run / "logs" / embedding.metadata_path).read_text()
    rows = [row.split("\t") for row in metadata.splitlines()]
    assert rows[0] == ["true", "predicted", "right", "image"]
    assert [row[0] for row in rows[1:]] == ["c1", "c2", "c3", "c1", "c2"]
    assert rows[1][3] == "imagenet/0"
    with Image.open(run / "logs" / embedding.sprite.image_path) as sprite:
        assert sprite.size == (192, 128)
        red, green, blue = np.asarray(sprite)[32, 32]
    assert red > 200 > 60 > max(green, blue)


def test_going_on_leaves_no_step_twice(run, tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    for path in (run / "logs").glob("events.*"):
        # Killed while it wrote.
        (logs / path.name).write_bytes(path.read_bytes()[:-7])
    open_writer(logs, 3).close()
    assert steps_of(logs)["loss"] == [3]
    assert steps_of(logs)["class_state/positive_run"] == [2, 3]
    writer = open_writer(logs, 3)
    with writer.as_default(step=4):
        tf.summary.scalar("loss", 1.0)
    writer.close()
    assert steps_of(logs)["loss"] == [3, 4]
    # From scratch: nothing stays.
    open_writer(logs, 0).close()
    assert steps_of(logs) == {}


def test_train_and_validation_are_one_group(tmp_path):
    writer = open_writer(tmp_path, 0)
    curves = Curves(writer, batch_size=8, every=2)
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd")
    curves.set_model(model)
    curves.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    writer.close()
    assert steps_of(tmp_path) == {
        "epoch_loss/train": [0],
        "epoch_loss/validation": [0],
    }


def test_a_run_has_its_name(run):
    [first, _] = hparams_of(run / "logs")
    assert first.session_start_info.group_name == "run"


@pytest.mark.large
def test_everything_can_be_switched_off(tiny_config, tiny_dataset, tmp_path):
    logging = LoggingConfig(
        histograms_every=0,
        metric_images=0,
        images=0,
        projector_images=0,
        input_wait=False,
        hyperparameters=False,
    )
    config = dataclasses.replace(tiny_config(epochs=1), logging=logging)
    train(config, tiny_dataset, tmp_path)
    written = {"epoch_loss/train", "loss", "learning_rate", "gradient_norm"}
    assert set(steps_of(tmp_path / "logs")) == written | {"images_per_second"}
    assert len(list((tmp_path / "logs").iterdir())) == 1


def test_class_histograms():
    # Classes: with a positive for 2 batches, for 1; without for 3; not met.
    runs = np.array([[2, 1, 0, 0], [0, 0, 3, 0]], np.float32)
    positives = np.array([5, 1, 0, 0], np.float32)
    found = class_histograms(runs, positives, LossConfig(kind="paper"))
    assert found["positive_run"].tolist() == [2, 1]
    assert found["negative_run"].tolist() == [3]
    assert found["positives_in_batch"].tolist() == [5, 1]
    paper = found["class_coefficient"]
    assert paper == pytest.approx([0.9, 1.0, 0.81])
    config = LossConfig(kind="released")
    released = class_histograms(runs, positives, config)
    # -log10(2.01 / 10), -log10(1.01 / 10), floor.
    values = released["class_coefficient"]
    assert values == pytest.approx([0.6968, 0.9957, 0.001], abs=1e-4)
    plain = class_histograms(runs, positives, LossConfig(kind="bce"))
    assert "class_coefficient" not in plain


def test_figures():
    targets = np.zeros((2, 12), np.int8)
    targets[0, [0, 1, 11]] = 1
    scores = np.tile(np.linspace(0.9, 0.1, 12), (2, 1)).astype(np.float32)
    found = figures(targets, scores)
    # 2 of 5 and 2 of 3 for the first image, nothing for the second.
    assert found["precision_at_5"] == pytest.approx(0.2)
    assert found["recall_at_5"] == pytest.approx(1 / 3)
    assert found["f1_at_5"] == pytest.approx(0.25)
    assert found["precision_at_10"] == pytest.approx(0.1)


def test_hyperparameters_are_what_tensorboard_takes(tiny_config):
    values = hyperparameters(tiny_config())
    assert values["schedule.batch_size"] == 8
    assert values["network.blocks"] == "(1,)"
    assert values["loss.positive_weight"] == "None"
    assert values["network.batch_norm_sync"] is False
    assert values["seed"] == 1 and values["name"] == "tiny"
    assert not [name for name in values if name.startswith("logging")]


@pytest.fixture(name="board", scope="module")
def fixture_board(run):
    """Returns what asks a real TensorBoard, on loopback, for a route."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir"]
    command += [os.fspath(run / "logs"), f"--port={port}"]
    server = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def ask(route, body=None, **query):
        query = urllib.parse.urlencode(query)
        url = f"http://127.0.0.1:{port}/data/{route}?{query}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def ready():
        try:
            tags = json.loads(ask("plugin/scalars/tags"))
            return "sample/f1_at_5" in tags.get(".", {})
        except OSError:
            return False

    try:
        deadline = time.monotonic() + _STARTS_WITHIN
        while not ready():
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.5)
        yield ask
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.mark.large
def test_tensorboard_lists_all_of_it(board):
    points = json.loads(board("plugin/scalars/scalars", run=".", tag="loss"))
    assert [step for _, step, _ in points] == [3, 6]
    tags = json.loads(board("plugin/histograms/tags"))["."]
    assert {"class_state/class_coefficient"} <= set(tags)
    pictures = board(
        "plugin/images/images", run=".", tag="sample/tags", sample=0
    )
    assert [p["step"] for p in json.loads(pictures)] == [3, 6]
    wanted = {
        "experimentName": "",
        "colParams": [],
        "allowedStatuses": ["STATUS_SUCCESS"],
        "startIndex": 0,
        "sliceSize": 10,
    }
    groups = json.loads(board("plugin/hparams/session_groups", wanted))
    hparams = groups["sessionGroups"][0]["hparams"]
    assert hparams["schedule.batch_size"] == 8.0


@pytest.mark.large
def test_projector_plugin_serves_the_embeddings(board):
    names = json.loads(board("plugin/projector/runs"))
    assert names == ["."]
    info = json.loads(board("plugin/projector/info", run="."))
    embedding = info["embeddings"][0]
    assert embedding["tensorShape"] == [5, 8]
    query = {"run": ".", "name": embedding["tensorName"]}
    tensor = np.frombuffer(board("plugin/projector/tensor", **query), "f4")
    assert tensor.shape == (40,)
    metadata = board("plugin/projector/metadata", **query).decode()
    assert metadata.startswith("true\tpredicted\tright\timage\nc1\t")
    assert board("plugin/projector/sprite_image", **query)[1:4] == b"PNG"
