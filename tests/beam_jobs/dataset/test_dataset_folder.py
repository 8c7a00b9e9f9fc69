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
    for name in [*names, "train/train-00000.part", dataset_folder.MANIFEST]:
        storage.write_text(storage.join(folder, name), "x")
    return folder


def test_shard_paths(dataset):
    assert dataset_folder.shard_paths(dataset, "train") == [
        f"{dataset}/train/train-00000-of-00002.tfrecord",
        f"{dataset}/train/train-00001-of-00002.tfrecord",
    ]


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
