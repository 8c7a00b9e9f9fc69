"""Tests of the offsets beside the shards."""

import io
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset import dataset_folder, record_index
from beam_jobs.dataset_job.write_shards import write_records
from beam_jobs.errors import InputError
from beam_jobs.files import storage

# Records of each shard; the last shard has none.
SHARDS = ((b"first", b"two", b"last"), (b"x" * 5000, b""), ())
STARTS = [0, 3, 5, 5]


def shards_of(folder):
    # Beam writes no empty object to S3.
    return SHARDS[:2] if storage.is_remote(folder) else SHARDS


@pytest.fixture(name="dataset")
def fixture_dataset(tmp_path):
    """Returns a folder with the shards of a split, and a manifest."""
    return write_split(str(tmp_path / "data [1]"))


def write_split(folder):
    described = []
    for number, rows in enumerate(shards_of(folder)):
        name = dataset_folder.shard_path(
            "train", number, len(shards_of(folder))
        )
        size, _ = write_records(
            storage.join(folder, name), ((row, row) for row in rows)
        )
        described.append({"path": name, "records": len(rows), "bytes": size})
    write_manifest(folder, {"train": {"shards": described}})
    return folder


def write_manifest(folder, splits):
    path = storage.join(folder, dataset_folder.MANIFEST)
    storage.write_text(path, json.dumps({"splits": splits}))


def forget_counts(folder):
    """Leaves of the manifest what a data set made by hand has."""
    path = storage.join(folder, dataset_folder.MANIFEST)
    splits = json.loads(storage.read_text(path))["splits"]
    for shard in splits["train"]["shards"]:
        if shard["records"]:
            del shard["records"]
    write_manifest(folder, splits)


def shard(folder, number):
    count = len(shards_of(folder))
    name = dataset_folder.shard_path("train", number, count)
    return storage.join(folder, name)


def offsets_at(path):
    """Returns where TensorFlow finds records that are read one by one."""
    lengths = [
        len(r) for r in tf.data.TFRecordDataset(path).as_numpy_iterator()
    ]
    return record_index.offsets_of(lengths).tolist()


def check(index, folder):
    """Checks the place of every record against the bytes that lie there."""
    assert len(index) == 5
    count = len(shards_of(folder))
    assert index.starts.tolist() == STARTS[: count + 1]
    for number, row in enumerate(row for rows in SHARDS for row in rows):
        shard_number, place = index.place_of(number)
        start, end = index.offsets(shard_number)[place : place + 2]
        content = storage.read_bytes(index.shards[shard_number])
        assert content[start + 12 : end - 4] == row
    assert index.shards == [shard(folder, n) for n in range(count)]


def test_the_job_writes_offsets(dataset, capsys):
    check(record_index.open_index(dataset, "train"), dataset)
    assert capsys.readouterr().out == ""
    assert record_index.count_records(dataset, "train") == 5


def test_offsets_are_those_of_tensorflow(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    write_records(path, ((row, row) for row in SHARDS[0]))
    found = np.load(tmp_path / "a.offsets.npy")
    assert found.dtype == np.int64
    assert found.tolist() == offsets_at(path) == [0, 21, 40, 60]
    assert record_index.scan(path, 60).tolist() == found.tolist()


@pytest.mark.parametrize("has_counts", [True, False])
def test_missing_ones_are_made_and_kept(dataset, has_counts, capsys):
    for number in (0, 1):
        storage.remove(record_index.index_path(shard(dataset, number)))
    if not has_counts:
        forget_counts(dataset)
    check(record_index.open_index(dataset, "train"), dataset)
    (line,) = capsys.readouterr().out.splitlines()
    count = len(shards_of(dataset))
    assert f"2 of {count} shards have no *.offsets.npy" in line
    assert "only the length of each record is read" in line
    check(record_index.open_index(dataset, "train"), dataset)
    assert capsys.readouterr().out == ""


def test_an_object_store(s3, tmp_path, capsys):
    dataset = write_split(storage.join(s3, tmp_path.name))
    path = record_index.index_path(shard(dataset, 0))
    storage.remove(path)
    check(record_index.open_index(dataset, "train"), dataset)
    assert "1 of 2 shards have no *.offsets.npy" in capsys.readouterr().out
    assert storage.exists(path)


WRONG = {
    "no array": b"",
    "cut": None,
    "of a shorter shard": np.array([0, 21, 40]),
    "of another shard": np.array([0, 20, 40, 61]),
    "of no order": np.array([0, 40, 21, 60]),
    "of other numbers": np.array([0.0, 21.0, 40.0, 60.0]),
}


@pytest.mark.parametrize("has_counts", [True, False])
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_ones_are_made_anew(dataset, wrong, has_counts):
    path = record_index.index_path(shard(dataset, 0))
    right = storage.read_bytes(path)
    content = WRONG[wrong]
    if wrong == "cut":
        content = right[:-1]
    if isinstance(content, np.ndarray):
        array, content = content, io.BytesIO()
        np.save(content, array)
        content = content.getvalue()
    storage.write_bytes(path, content)
    if not has_counts:
        forget_counts(dataset)
    check(record_index.open_index(dataset, "train"), dataset)
    assert storage.read_bytes(path) == right


def test_offsets_of_a_foreign_shard_of_that_size_are_found_out(dataset):
    path = record_index.index_path(shard(dataset, 0))
    record_index.save(path, np.array([0, 20, 40, 60]))
    index = record_index.open_index(dataset, "train")
    assert index.offsets(0).tolist() == [0, 20, 40, 60]
    index.make_anew(0)
    check(index, dataset)
    check(record_index.open_index(dataset, "train"), dataset)


def test_where_one_may_only_read_another_folder_keeps_them(
    dataset, tmp_path, monkeypatch
):
    kept = tmp_path / "kept"
    storage.remove(record_index.index_path(shard(dataset, 0)))
    write = storage.write_bytes

    def refuse(path, content):
        if os.path.dirname(path) != str(kept):
            raise OSError("read-only")
        write(path, content)

    monkeypatch.setattr(storage, "write_bytes", refuse)
    check(record_index.open_index(dataset, "train"), dataset)
    check(record_index.open_index(dataset, "train", kept), dataset)
    name = os.path.basename(record_index.index_path(shard(dataset, 0)))
    assert [p.name for p in kept.iterdir()] == [name]
    monkeypatch.setattr(record_index, "scan", None)
    check(record_index.open_index(dataset, "train", kept), dataset)


def test_a_damaged_length_is_named(dataset):
    path = shard(dataset, 0)
    content = bytearray(storage.read_bytes(path))
    content[21] ^= 1
    storage.write_bytes(path, bytes(content))
    index = record_index.open_index(dataset, "train")
    index.make_anew(0)
    # What the job wrote is the better knowledge.
    assert index.offsets(0).tolist() == [0, 21, 40, 60]
    storage.remove(record_index.index_path(path))
    with pytest.raises(InputError, match=".tfrecord is damaged at byte 21;"):
        record_index.open_index(dataset, "train")


def test_a_shard_of_other_records_is_named(dataset):
    path = shard(dataset, 0)
    write_records(path, ((row, row) for row in (b"first", b"x" * 23)))
    with pytest.raises(
        InputError, match="2 records, where the manifest says 3"
    ):
        record_index.open_index(dataset, "train").offsets(0)


def test_a_shard_goes_with_its_offsets(dataset):
    record_index.remove_shard(shard(dataset, 1))
    assert not storage.exists(record_index.index_path(shard(dataset, 1)))
    assert not storage.exists(shard(dataset, 1))
