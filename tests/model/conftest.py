"""Fixtures: a data set folder of coloured squares, a config for it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.labels import ledger
from model.config import (
    Config,
    DataConfig,
    LossConfig,
    NetworkConfig,
    ScheduleConfig,
)

# Before any test: TensorFlow fixes its devices when it is first used.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

COLOURS = {1: (220, 30, 30), 2: (30, 200, 30), 3: (40, 40, 220)}
CLASSES = 5


@pytest.fixture(name="two_replicas", scope="session")
def fixture_two_replicas():
    """Returns a strategy of two logical CPU devices.

    One for all tests: a second would use the keys of the first's collectives.
    """
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(name="write_dataset", scope="session")
def fixture_write_dataset():
    """Returns the function that writes a data set."""
    return write_dataset


@pytest.fixture(name="tiny_config", scope="session")
def fixture_tiny_config():
    """Returns the function that makes a config."""
    return tiny_config


@pytest.fixture(name="tiny_dataset", scope="session")
def fixture_tiny_dataset(tmp_path_factory):
    """Returns a data set of 24 images, written once."""
    return write_dataset(tmp_path_factory.mktemp("tiny") / "dataset")


def write_dataset(folder: Path, images: int = 24) -> Path:
    """Writes images of classes 1 to 3 under root 0; class 4 has none.

    Image i has class 1 + i % 3 and lacks the two others, verified.
    """
    classes = [TagClass(i, f"n0000000{i}", f"c{i}") for i in range(CLASSES)]
    vocabulary = Vocabulary(classes)
    folder.mkdir(parents=True)
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy = Hierarchy([(), (0,), (0,), (0,), (0,)])
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    rows = [example(i) for i in range(images)]
    write_shards(folder, dataset_folder.TRAIN, rows, 2)
    write_shards(folder, dataset_folder.VALIDATION, rows[:6], 1)
    return folder


def write_shards(folder: Path, split: str, rows: list, count: int) -> None:
    (folder / split).mkdir()
    for shard in range(count):
        path = folder / dataset_folder.shard_path(split, shard, count)
        write_records(path, rows[shard::count])


def write_records(path: Path, rows: list) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            writer.write(row)


def example(index: int) -> bytes:
    """Returns a record; its image is a little lighter for each index."""
    label = 1 + index % 3
    colour = np.array(COLOURS[label], np.uint8) + np.uint8(index)
    pixels = np.full((20, 20, 3), colour, np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95)
    rule, source = ledger.Rule, ledger.Source.IMAGENET
    return records.to_example(
        records.Record(
            f"imagenet/{index}",
            content.getvalue(),
            20,
            20,
            [
                records.Label(0, 1.0, rule.ANCESTOR, label, source),
                records.Label(label, 0.8, rule.ANNOTATED, label, source),
            ],
            [c for c in COLOURS if c != label],
        )
    )


def tiny_config(**schedule) -> Config:
    """Returns a config that trains in a moment."""
    settings = {
        "batch_size": 8,
        "epochs": 2,
        "learning_rate": 0.05,
        "warmup": 0.0,
        "decay": "cosine",
        **schedule,
    }
    return Config(
        name="tiny",
        data=DataConfig(image_size=16, crop_fraction=1.0),
        network=NetworkConfig(
            block="basic",
            blocks=(1,),
            filters=(8,),
            strides=(2,),
            stem_filters=8,
            stem_kernel=3,
        ),
        loss=LossConfig(floor=0.1, reduction="sum"),
        schedule=ScheduleConfig(**settings),
        seed=1,
    )
