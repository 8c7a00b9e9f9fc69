"""Tests of the reading of an epoch's places, in both modes."""

import numpy as np
import pytest

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.record_index import SplitIndex
from beam_jobs.dataset_job.write_shards import write_records
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model.inputs.epoch_reader import EpochReader, describe
from model.inputs.record_order import BlockOrder, RecordOrder
from model.inputs.record_reader import RecordReader
from model.inputs.skipped_records import SkippedRecords

SHARDS = ((0, 30), (30, 30), (30, 77), (77, 100))
BATCH, STEPS = 16, 6
PLACES = np.arange(BATCH * STEPS)


def row(number):
    return b"%d;" % number * 9


@pytest.fixture(name="index")
def fixture_index(tmp_path):
    """Returns an index of 100 records."""
    return write_split(str(tmp_path), SHARDS)


def write_split(folder, shards):
    sizes = {}
    for number, members in enumerate(shards):
        name = dataset_folder.shard_path("train", number, len(shards))
        path = storage.join(folder, name)
        rows = ((row(n), b"") for n in range(*members))
        sizes[path], _ = write_records(path, rows)
    return SplitIndex(sizes, {})


def make_order(index, mode):
    if mode == "records":
        return RecordOrder(1, len(index))
    return BlockOrder(1, index.starts, BATCH, streams=4, block=5, window=10)


def open_reader(index, mode, share=0.0):
    return EpochReader(
        RecordReader(index, 4),
        make_order(index, mode),
        SkippedRecords(share, len(PLACES)),
        epochs=2,
    )


def numbers_of(rows):
    assert all(row(int(r.partition(b";")[0])) == r for r in rows)
    return [int(r.partition(b";")[0]) for r in rows]


@pytest.mark.parametrize("mode", ["records", "blocks"])
def test_each_worker_reads_its_part(index, mode):
    expected = make_order(index, mode).numbers(1, PLACES)
    for workers in (1, 2, 8):
        reader, share = open_reader(index, mode), BATCH // workers
        for worker in range(workers):
            for step in range(STEPS):
                first = step * BATCH + worker * share
                places = np.arange(first, first + share)
                numbers, rows = reader.read(1, places)
                assert numbers.tolist() == expected[places].tolist()
                assert numbers_of(rows) == numbers.tolist()


def test_an_object_store(s3, tmp_path):
    folder = storage.join(s3, tmp_path.name)
    index = write_split(folder, [(0, 30), (30, 48)])
    for mode, places in (("records", PLACES[:3]), ("blocks", PLACES[:16])):
        numbers, rows = open_reader(index, mode).read(0, places)
        assert numbers_of(rows) == numbers.tolist()


def damage(index, number):
    """Changes a byte of a record."""
    shard, place = index.place_of(number)
    path = index.shards[shard]
    content = bytearray(storage.read_bytes(path))
    content[index.offsets(shard)[place] + 12] ^= 1
    storage.write_bytes(path, bytes(content))


@pytest.mark.parametrize("mode", ["records", "blocks"])
def test_the_next_sound_record_comes_in_place_of_a_damaged_one(index, mode):
    # The last of a shard with an empty one behind it, and the last of all.
    for number in (28, 29, 99):
        damage(index, number)
    instead = {28: 30, 29: 30, 99: 0}
    expected = make_order(index, mode).numbers(0, PLACES).tolist()
    drawn = [n for n in expected if n in instead]
    reader = open_reader(index, mode, share=0.05)
    numbers, rows = reader.read(0, PLACES)
    assert numbers_of(rows) == numbers.tolist()
    assert numbers.tolist() == [instead.get(n, n) for n in expected]
    with pytest.raises(InputError, match="train-0000[023]-.* is damaged at "):
        open_reader(index, mode).read(0, PLACES)
    one_too_few = (len(drawn) - 1.5) / len(PLACES)
    with pytest.raises(InputError, match=f"than the {len(drawn) - 1} damaged"):
        open_reader(index, mode, share=one_too_few).read(0, PLACES)


def test_of_all_damaged_records_none_can_be_taken(index):
    for number in range(100):
        damage(index, number)
    reader = open_reader(index, "records", share=1.0)
    with pytest.raises(InputError, match="all 100 records are damaged"):
        reader.read(0, PLACES[:1])


def test_windows_are_read_once_and_ahead(index, monkeypatch):
    asked = []
    reader = RecordReader(index, 4)
    monkeypatch.setattr(
        reader,
        "start",
        lambda runs: asked.extend(runs) or RecordReader.start(reader, runs),
    )
    epochs = EpochReader(
        reader, make_order(index, "blocks"), SkippedRecords(0, 1), epochs=1
    )
    for step in range(STEPS):
        epochs.read(0, PLACES[step * BATCH : (step + 1) * BATCH])
        records = sum(count for _, count in asked)
        # Of 4 streams: windows of 10, 10 and 4, the next one always asked for.
        assert records == {0: 80, 1: 80}.get(step, 96)
    numbers = [n for first, count in asked for n in range(first, first + count)]
    assert len(numbers) == len(set(numbers)) == len(PLACES)


def test_what_is_said_of_memory():
    # 100 records of 1 MB, and three tenths for the allocator.
    reader = RecordReader(SplitIndex({"a": 100_000_000}, {"a": 100}), 4)
    assert describe(reader, make_order(reader.index, "records"), 16, 2) == (
        "reading records one by one, 4 requests at once; up to 52 MB of "
        "records in memory"
    )
    # Four batches, two windows of 10 in 4 streams, 4 requests of 5.
    assert describe(reader, make_order(reader.index, "blocks"), 16, 1) == (
        "reading 4 streams of blocks of 5 records, shuffled within 10, 4 "
        "requests at once; up to 213 MB of records in memory"
    )
