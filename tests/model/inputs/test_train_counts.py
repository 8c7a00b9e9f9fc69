"""Tests of model.inputs.train_counts: known without reading the records."""

import json

import numpy as np
import pytest

from beam_jobs.classes import load_classes
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model.inputs import train_counts
from model.inputs.train_counts import TrainCounts
from tests.helpers.datasets import write_dataset


def write_manifest(folder, **content):
    (folder / dataset_folder.MANIFEST).write_text(json.dumps(content))


def test_images_come_from_the_manifest(tmp_path):
    folder = write_dataset(tmp_path / "d", 6)
    assert train_counts.images_in(folder, dataset_folder.TRAIN) is None
    shards = [
        {"path": dataset_folder.shard_path("train", i, 2)} for i in range(2)
    ]
    splits = {"train": {"images": 6, "shards": shards}}
    write_manifest(folder, splits=splits, fingerprint="f")
    assert train_counts.images_in(folder, dataset_folder.TRAIN) == 6
    assert train_counts.fingerprint(folder) == "f"


def test_a_data_set_of_labels_only_is_refused(tmp_path):
    write_manifest(tmp_path, options={"images": {"labels_only": True}})
    with pytest.raises(InputError, match="was made from labels only"):
        train_counts.check_has_images(tmp_path)


def test_what_was_read_is_remembered(tmp_path):
    folder = write_dataset(tmp_path / "d", 6)
    vocabulary = Vocabulary.load(folder / load_classes.VOCABULARY)
    kept, reads = tmp_path / "counts.json", []

    def read():
        reads.append(1)
        return TrainCounts(6, np.array([6, 2, 2, 2, 0]))

    for least in (0.0, 0.0, 0.5):
        found = train_counts.count(str(folder), vocabulary, least, kept, read)
        assert (found.images, found.per_class.tolist()) == (6, [6, 2, 2, 2, 0])
    assert len(reads) == 2
