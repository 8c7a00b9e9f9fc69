import json

import pytest

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage


@pytest.fixture(params=["local", "s3"])
def dataset(request, tmp_path):
    if request.param == "local":
        folder = str(tmp_path / "data [1]")
    else:
        folder = storage.join(request.getfixturevalue("s3"), tmp_path.name)
    names = [dataset_folder.shard_path("train", index, 2) for index in (1, 0)]
    for name in [*names, "train/train-00000.part"]:
        storage.write_text(storage.join(folder, name), "x")
    write_manifest(folder, {})
    return folder


def test_shard_paths(dataset):
    assert dataset_folder.shard_paths(dataset, "train") == [
        f"{dataset}/train/train-00000-of-00002.tfrecord",
        f"{dataset}/train/train-00001-of-00002.tfrecord",
    ]


def write_manifest(folder, content):
    path = storage.join(folder, dataset_folder.MANIFEST)
    storage.write_text(path, json.dumps(content))


def described(*sizes, total):
    names = [dataset_folder.shard_path("train", i, 2) for i in range(2)]
    shards = [
        {"path": name} | ({"bytes": size} if size else {})
        for name, size in zip(names, sizes, strict=True)
    ]
    return {"splits": {"train": {"shards": shards, "bytes": total}}}


@pytest.mark.parametrize("has_splits", [True, False])
def test_a_missing_shard_is_named(dataset, has_splits):
    if has_splits:
        write_manifest(dataset, described(1, 1, total=2))
    storage.remove(f"{dataset}/train/train-00001-of-00002.tfrecord")
    with pytest.raises(InputError, match="2 .* 1 are there; missing: tr"):
        dataset_folder.shard_paths(dataset, "train")


@pytest.mark.parametrize("has_splits", [True, False])
def test_a_foreign_shard_is_named(dataset, has_splits):
    if has_splits:
        write_manifest(dataset, described(1, 1, total=2))
    path = f"{dataset}/train/train-00002-of-00003.tfrecord"
    storage.write_text(path, "x")
    with pytest.raises(InputError, match="data set: train-00002-of-00003"):
        dataset_folder.shard_paths(dataset, "train")


@pytest.mark.parametrize("sizes", [(1, 7), (None, None)])
def test_a_cut_shard_is_named(dataset, sizes):
    write_manifest(dataset, described(*sizes, total=8))
    with pytest.raises(InputError, match="cut or of another data set"):
        dataset_folder.shard_paths(dataset, "train")


def test_an_empty_shard_is_named(tmp_path):
    path = tmp_path / dataset_folder.shard_path("train", 0, 1)
    path.parent.mkdir()
    path.touch()
    write_manifest(tmp_path, {})
    with pytest.raises(InputError, match="00000-of-00001.tfrecord: 0 bytes"):
        dataset_folder.shard_paths(tmp_path, "train")


def test_a_shard_may_have_no_record(tmp_path):
    content = described(1, None, total=1)
    content["splits"]["train"]["shards"][1]["records"] = 0
    write_manifest(tmp_path, content)
    (tmp_path / "train").mkdir()
    for index, text in enumerate(("x", "")):
        name = dataset_folder.shard_path("train", index, 2)
        (tmp_path / name).write_text(text)
    assert len(dataset_folder.shard_paths(tmp_path, "train")) == 2


def test_split_without_records(dataset):
    with pytest.raises(InputError, match=r"'validation'; it has: \['train'\]"):
        dataset_folder.shard_paths(dataset, "validation")


def test_no_data_set(dataset):
    with pytest.raises(InputError, match="is no data set"):
        dataset_folder.shard_paths(storage.join(dataset, "train"), "train")


def test_clear_keeps_what_is_not_of_the_job(dataset):
    storage.write_text(storage.join(dataset, "notes.txt"), "mine")
    dataset_folder.clear(dataset)
    left = storage.list_files(storage.join(storage.escape(dataset), "**"))
    assert left == [(storage.join(dataset, "notes.txt"), 4)]
