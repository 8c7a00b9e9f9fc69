"""Tests of the search for a damaged shard."""

import struct

import pytest
import tensorflow as tf

from beam_jobs.dataset.damage import damaged_shard
from beam_jobs.files.tfrecords import masked_crc

# Records begin at 0, 16 + 5 = 21 and 21 + 16 + 3 = 40; 60 bytes in all.
RECORDS = (b"first", b"two", b"last")


@pytest.fixture(name="shards")
def fixture_shards(tmp_path):
    """Returns two sound shards."""
    paths = [str(tmp_path / name) for name in ("a", "b")]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            for record in RECORDS:
                writer.write(record)
    return paths


def change(path, at, content):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(content)


def said_by_tensorflow(path):
    with pytest.raises(tf.errors.DataLossError) as caught:
        list(tf.data.TFRecordDataset(path))
    return str(caught.value)


@pytest.mark.parametrize("byte", [0, 12, 21, 33, 40, 52, 60, 7])
def test_sound_shards(shards, byte):
    assert damaged_shard(shards, byte) is None


@pytest.mark.parametrize(
    ("at", "byte"),
    [(21, 21), (29, 21), (34, 33), (37, 33), (52, 52)],
    ids=["length", "its checksum", "bytes", "their checksum", "last"],
)
def test_one_byte_is_another(shards, at, byte):
    change(shards[1], at, b"\xee")
    assert f"record at {byte}" in said_by_tensorflow(shards[1])
    assert damaged_shard(shards, byte) == shards[1]
    assert damaged_shard(shards[:1], byte) is None


def test_cut(shards):
    with open(shards[0], "r+b") as file:
        file.truncate(55)
    assert "record at 40" in said_by_tensorflow(shards[0])
    assert damaged_shard(shards, 40) == shards[0]


def test_a_length_beyond_the_file_takes_no_memory(shards):
    length = struct.pack("<Q", 2**60)
    change(shards[0], 21, length + struct.pack("<I", masked_crc(length)))
    assert damaged_shard(shards, 33) == shards[0]
