"""Tests of reading the records of a shard."""

import re

import pytest
import tensorflow as tf

from beam_jobs.dataset import read_records, records
from beam_jobs.errors import InputError
from tests.helpers.records import Record, to_example


def write(path, rows):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            writer.write(row)


def read(path):
    batches = read_records.read_batches(str(path), 2)
    return [image_id for batch in batches for image_id in batch.image_ids]


def test_in_its_order_with_and_without_bytes(tmp_path):
    rows = [to_example(Record(f"csv/{i}", b"image", 1, 1)) for i in range(3)]
    write(tmp_path / "a", rows)
    assert read(tmp_path / "a") == ["csv/0", "csv/1", "csv/2"]
    for images in (True, False):
        batch = next(read_records.read_batches(str(tmp_path / "a"), 3, images))
        assert (records.IMAGE_ENCODED in batch.parsed) == images


@pytest.mark.parametrize("cut", [1, 4, 40])
def test_a_cut_shard_is_named(tmp_path, cut):
    rows = [to_example(Record(f"csv/{i}", b"image", 1, 1)) for i in range(3)]
    write(tmp_path / "a", rows)
    with open(tmp_path / "a", "r+b") as file:
        file.truncate((tmp_path / "a").stat().st_size - cut)
    said = f"^{re.escape(str(tmp_path))}/a is damaged at byte [0-9]+; copy it"
    with pytest.raises(InputError, match=said):
        read(tmp_path / "a")


def test_records_of_something_else_are_named(tmp_path):
    write(tmp_path / "a", [b"no example"])
    with pytest.raises(InputError, match=f"^{tmp_path}/a holds records that"):
        read(tmp_path / "a")
