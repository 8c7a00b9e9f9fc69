"""Tests of what is counted in the training records."""

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model import workdir as files
from model.config import DataConfig
from model.inputs import record_counts
from tests.helpers.datasets import CLASSES, write_dataset
from tests.helpers.records import Record, to_example


@pytest.fixture(name="index")
def fixture_index(tiny_dataset):
    """Returns the index of 24 records in two shards."""
    return record_counts.open_index(tiny_dataset)


def test_counts(index):
    assert len(index) == 24
    counts = record_counts.label_counts(index, CLASSES)
    np.testing.assert_array_equal(counts, [24, 8, 8, 8, 0])
    counts = record_counts.label_counts(index, CLASSES, min_confidence=0.9)
    np.testing.assert_array_equal(counts, [24, 0, 0, 0, 0])


def test_counts_refuse_a_smaller_vocabulary(index):
    with pytest.raises(InputError, match="label 3"):
        record_counts.label_counts(index, 3)


def test_has_images(index, tmp_path):
    assert record_counts.has_images(index)
    folder = write_dataset(tmp_path / "bare", images=8)
    for number in range(2):
        path = folder / dataset_folder.shard_path("train", number, 2)
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(to_example(Record("a/1", b"", 1, 1)))
    assert not record_counts.has_images(record_counts.open_index(folder))


def test_damaged_records_are_passed_over_up_to_a_share(tmp_path):
    folder = write_dataset(tmp_path / "damaged", images=8)
    path = folder / dataset_folder.shard_path("train", 0, 2)
    content = bytearray(path.read_bytes())
    content[40] ^= 255
    path.write_bytes(content)
    index = record_counts.open_index(folder)
    counts = record_counts.label_counts(index, CLASSES, skip_damaged=0.1)
    # The first record, of class 1, is damaged.
    np.testing.assert_array_equal(counts, [7, 2, 3, 2, 0])
    assert record_counts.has_images(index)
    with pytest.raises(InputError, match=f"^{path} is damaged at byte 12;"):
        record_counts.label_counts(index, CLASSES)


def test_what_was_read_is_kept(tmp_path, monkeypatch):
    folder = write_dataset(tmp_path / "dataset")
    config = DataConfig(min_confidence=0.9)
    first = record_counts.count(str(folder), config, tmp_path)
    assert first.images == 24
    assert first.per_class.tolist() == [24, 0, 0, 0, 0]
    assert (tmp_path / files.COUNTS).exists()
    monkeypatch.setattr(record_counts, "label_counts", None)
    again = record_counts.count(str(folder), config, tmp_path)
    assert again.per_class.tolist() == [24, 0, 0, 0, 0]
