"""Tests of the reading of records by their numbers."""

import numpy as np
import pytest

from beam_jobs.dataset import dataset_folder, record_index
from beam_jobs.dataset.record_index import SplitIndex
from beam_jobs.dataset_job.write_shards import write_records
from beam_jobs.errors import InputError
from model.inputs import record_reader
from model.inputs.record_reader import RecordReader

# Shard 1 is empty; of the others record n has n times 20 bytes.
SHARDS = (range(4), range(0), range(4, 9))


def row(number):
    return bytes([number]) * 20 * number


@pytest.fixture(name="paths")
def fixture_paths(tmp_path):
    """Returns shards on this machine."""
    paths = []
    for number, members in enumerate(SHARDS):
        name = dataset_folder.shard_path("train", number, len(SHARDS))
        paths.append(str(tmp_path / name))
        write_records(paths[-1], ((row(n), row(n)) for n in members))
    return paths


def open_reader(paths, requests=3):
    return RecordReader(
        SplitIndex({p: len(open(p, "rb").read()) for p in paths}, {}), requests
    )


def change(path, at):
    with open(path, "r+b") as file:
        content = bytearray(file.read())
        content[at] ^= 1
        file.seek(0)
        file.write(content)


def said(row):
    assert isinstance(row, InputError)
    return str(row).partition(";")[0]


@pytest.mark.parametrize("requests", [1, 3, 50])
def test_any_records_in_any_order(paths, requests):
    numbers = np.array([8, 0, 3, 4, 3, 1])
    found = open_reader(paths, requests).read_all(numbers)
    assert found == [row(n) for n in numbers]


def test_neighbours_in_one_request(paths):
    reader = open_reader(paths)
    assert reader.read(5, 3) == [row(5), row(6), row(7)]
    runs = reader.start([(0, 4), (4, 1)])
    assert [len(future.result()) for future in runs] == [4, 1]


@pytest.mark.parametrize("size", [1, 100, 8 << 20])
def test_all_in_order(paths, size, monkeypatch):
    monkeypatch.setattr(record_reader, "_RUN_BYTES", size)
    found = [row for rows in open_reader(paths).read_in_order() for row in rows]
    assert found == [row(n) for n in range(9)]


@pytest.mark.parametrize(
    ("at", "byte"),
    [(16, 16), (25, 16), (28, 28), (48, 28)],
    ids=["length", "its checksum", "bytes", "their checksum"],
)
def test_a_damaged_record_is_named_and_the_others_are_read(paths, at, byte):
    change(paths[0], at)
    found = open_reader(paths).read(0, 4)
    assert said(found[1]) == f"{paths[0]} is damaged at byte {byte}"
    assert [found[n] for n in (0, 2, 3)] == [row(n) for n in (0, 2, 3)]


def test_a_shard_that_is_cut_meanwhile(paths):
    reader = open_reader(paths)
    assert reader.read(8) == [row(8)]
    with open(paths[2], "r+b") as file:
        file.truncate(reader.index.sizes[2] - 1)
    start = reader.index.offsets(2)[-2]
    assert said(*reader.read(8)) == f"{paths[2]} is damaged at byte {start}"
    assert reader.read(7) == [row(7)]


def test_offsets_of_another_shard_are_made_anew(paths):
    size = len(open(paths[2], "rb").read())
    record_index.save(
        record_index.index_path(paths[2]),
        np.array([0, 100, 200, 300, 400, size]),
    )
    assert open_reader(paths).read_all(np.arange(9)) == [
        row(n) for n in range(9)
    ]


def test_a_file_that_cannot_be_read_is_named(paths, tmp_path):
    reader = open_reader(paths)
    (tmp_path / dataset_folder.shard_path("train", 0, 3)).unlink()
    with pytest.raises(InputError, match=f"^{paths[0]}: No such file"):
        reader.read(2)


def test_few_files_are_open(paths, monkeypatch):
    monkeypatch.setattr(record_reader, "_OPEN_FILES", 1)
    found = open_reader(paths).read_all(np.array([0, 8] * 20))
    assert found == [row(0), row(8)] * 20
