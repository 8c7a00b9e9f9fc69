"""The split that the user made, kept through the whole job."""

import json
import re

import pytest

from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import describe
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.rejections import DEAD_LETTERS
from tests.helpers.datasets import build, file_hashes
from tests.helpers.images import noise_image


def write(folder, **images):
    for name, seed in images.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(noise_image(seed))
    return str(folder)


def given(tmp_path, out="dataset", **changes):
    values = {"splits": "source", "out": str(tmp_path / out)} | changes
    return build_options(DatasetOptions, values)


def ids_of(dataset, split):
    texts = [
        re.findall(rb"(?:folders|csv)/[\w/]+\.jpg", path.read_bytes())
        for path in sorted((dataset / split).glob("*.tfrecord"))
    ]
    return sorted(i.decode() for found in texts for i in found)


def test_the_split_of_folders_is_kept(tmp_path):
    folder = write(
        tmp_path / "photos",
        train__dog__1=1,
        train__cat__2=2,
        val__dog__3=3,
        test__cat__4=4,
        dog__5=5,
    )
    manifest = build(given(tmp_path, folders=[folder]))
    assert {s: v["images"] for s, v in manifest.splits.items()} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }
    dataset = tmp_path / "dataset"
    assert ids_of(dataset, "test") == ["folders/test/cat/4.jpg"]
    assert ids_of(dataset, "validation") == ["folders/val/dog/3.jpg"]
    assert manifest.kept_splits == {
        "without_split": 1,
        "copies": 0,
        "near_duplicates": 0,
    }
    assert "1 x image that no source puts in a split: in train" in describe(
        manifest, dataset
    )
    shards = dataset_folder.shard_paths(dataset, "test")
    assert [p.rpartition("/")[2] for p in shards] == [
        "test-00000-of-00001.tfrecord"
    ]


def test_copies_across_splits_are_said_and_stay(tmp_path):
    folder = write(
        tmp_path / "photos", train__dog__1=1, val__dog__1=1, val__dog__2=2
    )
    manifest = build(given(tmp_path, folders=[folder]))
    assert manifest.splits["validation"]["images"] == 2
    assert manifest.kept_splits["copies"] == 1
    dataset = tmp_path / "dataset"
    path = dataset / dataset_folder.ACROSS_SPLITS
    assert f"an exact copy in another split: {path}" in describe(
        manifest, dataset
    )
    assert path.read_text() == "folders/val/dog/1.jpg\n"


def test_a_column_says_the_split_and_a_wrong_one_is_a_dead_letter(tmp_path):
    write(tmp_path, **{f"i{i}": i for i in range(5)})
    rows = ["i0.jpg,dog,train", "i1.jpg,dog,val", "i2.jpg,dog,holdout"]
    rows += ["i3.jpg,cat,", "i4.jpg,cat,test", "i4.jpg,dog,train"]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["image,label,split", *rows]))
    manifest = build(given(tmp_path, csv=[str(table)]))
    dataset = tmp_path / "dataset"
    assert ids_of(dataset, "train") == ["csv/i0.jpg", "csv/i3.jpg"]
    assert ids_of(dataset, "validation") == ["csv/i1.jpg"]
    assert ids_of(dataset, "test") == ["csv/i4.jpg"]
    assert manifest.rejected == {"malformed_row": 2}
    letters = (dataset / DEAD_LETTERS / "malformed_row.jsonl").read_text()
    assert {json.loads(line)["detail"] for line in letters.splitlines()} == {
        "split 'holdout': one of train, training, val, valid, validation, "
        "test, testing, dev, calibration is needed",
        "split test and train; test is used",
    }


def test_order_and_partitions_make_no_difference(tmp_path, monkeypatch):
    from beam_jobs.dataset_job import build_dataset

    folder = write(tmp_path / "photos", train__dog__1=1, val__dog__2=2)
    write(tmp_path, a=3)
    table = tmp_path / "own.csv"
    table.write_text("image,label\na.jpg,dog\n")
    sources = {"folders": [folder], "csv": [str(table)]}
    build(given(tmp_path, **sources))
    monkeypatch.setattr(build_dataset, "_partitions", lambda *_: 16)
    build(given(tmp_path, out="again", **sources))
    one, other = (
        {k: v for k, v in file_hashes(tmp_path / name).items()}
        for name in ("dataset", "again")
    )
    assert one == other


def test_without_a_split_there_is_nothing_to_keep(tmp_path):
    folder = write(tmp_path / "photos", dog__1=1)
    with pytest.raises(InputError, match="no source says a split"):
        build(given(tmp_path, folders=[folder]))
    assert not (tmp_path / "dataset").exists()


def test_no_validation_is_said(tmp_path):
    folder = write(tmp_path / "photos", train__dog__1=1, test__dog__2=2)
    manifest = build(given(tmp_path, folders=[folder]))
    assert "no image is in validation" in describe(manifest, "dataset")


def test_a_cap_has_no_meaning_for_kept_splits(tmp_path):
    with pytest.raises(InputError, match="--splits source moves no image"):
        given(tmp_path, validation_per_class=3)
