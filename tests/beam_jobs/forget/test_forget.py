"""Images leave a data set; every other record keeps its bytes."""

from __future__ import annotations

import json
import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder, record_index
from beam_jobs.dataset.manifest import Manifest, describe
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files.folder_lock import hold_output
from beam_jobs.forget import forget as job
from beam_jobs.forget import proof
from beam_jobs.forget.options import ForgetOptions
from beam_jobs.rejections import DEAD_LETTERS
from tests.helpers.commands import run
from tests.helpers.datasets import build, file_hashes
from tests.helpers.images import noise_image

COUNT = 12
URL = "https://example.org/5"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set of 12 images in shards of about 3, with dead letters."""
    folder = tmp_path_factory.mktemp("forget")
    rows = []
    for i in range(COUNT):
        # 7 and 8 are one image.
        (folder / f"{i}.jpg").write_bytes(
            noise_image(min(i, 7) if i < 9 else i)
        )
        name = "cat" if i % 2 else "dog"
        rows.append(f"{i}.jpg,{name},CC {i % 3},{URL if i == 5 else ''}")
    rows += ["gone.jpg,dog,,", "1.jpg,dog,other,"]
    table = folder / "labels.csv"
    table.write_text("\n".join(["image,label,license,url", *rows]))
    build(dataset_options(folder, "dataset"))
    return folder


def dataset_options(folder, out, **changes):
    given = {
        "csv": [str(folder / "labels.csv")],
        "out": str(folder / out),
        "validation_per_class": 0,
        "splits": "train=0.6,validation=0.4",
        "images_per_shard": 3,
        **changes,
    }
    return build_options(DatasetOptions, given)


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made / "dataset", tmp_path / "dataset")
    return tmp_path


def forget(folder, *names, **changes):
    (folder / "images.txt").write_text("\n".join(names))
    options = ForgetOptions(
        str(folder / "dataset"), str(folder / "images.txt"), **changes
    )
    return job.forget(options, show_progress=False)


def records_in(dataset):
    """Returns all records, by split and in order."""
    return {
        split: [
            data.numpy()
            for path in sorted((dataset / split).glob("*.tfrecord"))
            for data in tf.data.TFRecordDataset(str(path))
        ]
        for split in dataset_folder.SPLITS
    }


def holds(record, name):
    return f"csv/{name}".encode() in record


def check_offsets(dataset):
    """Checks that there are those of the shards that are there, and they."""
    paths = {str(path) for path in dataset.glob("*/*.tfrecord")}
    assert {str(path) for path in dataset.glob("*/*.npy")} == {
        record_index.index_path(path) for path in paths
    }
    for path in paths:
        found = np.load(record_index.index_path(path))
        expected = record_index.scan(path, os.path.getsize(path))
        np.testing.assert_array_equal(found, expected)


def without(found, *names):
    return {
        split: [r for r in rows if not any(holds(r, n) for n in names)]
        for split, rows in found.items()
    }


def names_left(dataset, name):
    return [
        path
        for path in dataset.rglob("*")
        if path.is_file() and name.encode() in path.read_bytes()
    ]


def test_all_other_records_keep_bytes_and_order(copied):
    dataset = copied / "dataset"
    before, old = records_in(dataset), Manifest.load(dataset)
    done = forget(copied, "csv/3.jpg", URL)
    new = Manifest.load(dataset)
    assert records_in(dataset) == without(before, "3.jpg", "5.jpg")
    assert (done.images, done.left, done.unknown) == (2, COUNT - 2, [])
    assert "2 x image forgotten by `tagforest forget`" in describe(new, "d")
    assert new.images == {
        "in": old.images["in"] - 2,
        "out": COUNT - 2,
        "rejected": old.images["rejected"],
    }
    assert new.fingerprint != old.fingerprint
    assert new.forgotten == {"images": 2, "fingerprints": [old.fingerprint]}
    assert new.request == old.request
    for name in ("csv/3.jpg", "csv/5.jpg", URL):
        assert names_left(dataset, name) == []
    assert names_left(dataset, "csv/4.jpg")
    assert not list(copied.glob(".*"))
    check_offsets(dataset)


def test_a_shard_without_a_record_left_goes(copied):
    dataset = copied / "dataset"
    shard = min(
        (
            s
            for c in Manifest.load(dataset).splits.values()
            for s in c["shards"]
        ),
        key=lambda s: s["records"] or COUNT,
    )
    ids = re.findall(rb"csv/\d+\.jpg", (dataset / shard["path"]).read_bytes())
    before = records_in(dataset)
    gone = sorted({i.decode() for i in ids})
    forget(copied, *gone, copies=True)
    assert not (dataset / shard["path"]).exists()
    check_offsets(dataset)
    left = without(before, *(i.removeprefix("csv/") for i in gone))
    for split, content in Manifest.load(dataset).splits.items():
        paths = dataset_folder.shard_paths(dataset, split)
        assert len(paths) == len(content["shards"])
        found = [d.numpy() for d in tf.data.TFRecordDataset(paths)]
        assert found == left[split]


def test_it_counts_like_a_data_set_built_without_them(made, copied):
    own = copied / "own"
    own.mkdir()
    rows = (made / "labels.csv").read_text().splitlines()
    kept = [row for row in rows if not row.startswith("3.jpg")]
    (own / "labels.csv").write_text("\n".join(kept))
    for path in made.glob("*.jpg"):
        shutil.copy(path, own)
    for name in ("vocabulary.tsv", "hierarchy.tsv"):
        shutil.copy(made / "dataset" / name, own)
    classes = {"vocabulary": str(own / "vocabulary.tsv")}
    wanted = build(dataset_options(own, "dataset", **classes))
    forget(copied, "csv/3.jpg")
    found = Manifest.load(copied / "dataset")
    hashes = file_hashes(copied / "dataset"), file_hashes(own / "dataset")
    for name in ("statistics/statistics.json", "statistics/index.html"):
        assert hashes[0][name] == hashes[1][name]
    for split, content in wanted.splits.items():
        for key in ("images", "label_bytes"):
            assert found.splits[split][key] == content[key]


def test_dead_letters_go_too(copied):
    dataset = copied / "dataset"
    done = forget(copied, "csv/gone.jpg", "csv/1.jpg")
    assert done.images == 2
    assert Manifest.load(dataset).rejected == {}
    assert not list((dataset / DEAD_LETTERS).glob("*"))
    content = json.loads((dataset / "statistics/statistics.json").read_text())
    assert (content["images_in"], content["rejected"]) == (COUNT - 1, {})


def test_an_unknown_image_is_said_and_nothing_changes(copied):
    before = file_hashes(copied / "dataset")
    done = forget(copied, "csv/other.jpg")
    assert (done.images, done.unknown) == (0, ["csv/other.jpg"])
    assert file_hashes(copied / "dataset") == before


def test_the_list_of_images_across_splits_is_one_to_forget(copied):
    path = copied / "dataset" / dataset_folder.ACROSS_SPLITS
    path.write_text("csv/3.jpg\ncsv/4.jpg\n")
    forget(copied, "csv/3.jpg")
    assert path.read_text() == "csv/4.jpg\n"
    options = ForgetOptions(str(copied / "dataset"), str(path))
    assert job.forget(options, show_progress=False).images == 1
    assert path.read_text() == ""


def test_a_copy_under_another_id_is_not_left_unseen(copied):
    before = file_hashes(copied / "dataset")
    with pytest.raises(InputError, match="csv/8.jpg: the same bytes"):
        forget(copied, "csv/7.jpg")
    assert file_hashes(copied / "dataset") == before
    assert forget(copied, "csv/7.jpg", copies=True).images == 2
    assert names_left(copied / "dataset", "csv/8.jpg") == []


def test_the_job_agrees_that_it_is_the_same_data_set(made, copied):
    shutil.copytree(copied / "dataset", made / "kept", dirs_exist_ok=True)
    (copied / "images.txt").write_text("csv/3.jpg")
    options = ForgetOptions(str(made / "kept"), str(copied / "images.txt"))
    job.forget(options, show_progress=False)
    reused = []
    again = build_dataset(
        dataset_options(made, "kept"),
        show_progress=False,
        on_reuse=lambda: reused.append(True),
    )
    assert reused and again.images["out"] == COUNT - 1


@pytest.mark.parametrize("point", ["_write_shards", "swap", "after"])
def test_a_stop_leaves_the_old_or_the_new_and_a_rerun_ends_it(
    copied, monkeypatch, point
):
    dataset = copied / "dataset"
    old = file_hashes(dataset)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # As SIGKILL leaves it: nothing is cleared away.
        patch.setattr(job.storage, "remove_tree", lambda _: None)
        if point == "_write_shards":
            patch.setattr(job._Job, "_write_shards", stop)
        elif point == "swap":
            patch.setattr(job, "swap_folders", stop)
        if point == "after":
            forget(copied, "csv/3.jpg")
        else:
            with pytest.raises(KeyboardInterrupt):
                forget(copied, "csv/3.jpg")
    assert (file_hashes(dataset) == old) == (point != "after")
    assert len(list(copied.glob(".dataset.forget-*"))) == 1
    done = forget(copied, "csv/3.jpg")
    assert done.images == (point != "after")
    assert not list(copied.glob(".*"))
    assert names_left(dataset, "csv/3.jpg") == []
    assert Manifest.load(dataset).images["out"] == COUNT - 1


def test_what_is_left_behind_fails_loudly(copied):
    dataset = copied / "dataset"
    old = file_hashes(dataset)
    (dataset / "notes.txt").write_text("look at csv/3.jpg, she said\n")
    with pytest.raises(proof.RememberedError, match="notes.txt still names"):
        forget(copied, "csv/3.jpg")
    (dataset / "notes.txt").write_bytes(noise_image(3))
    with pytest.raises(proof.RememberedError, match="still one of the images"):
        forget(copied, "csv/3.jpg")
    (dataset / "notes.txt").unlink()
    assert file_hashes(dataset) == old


def test_a_damaged_shard_is_refused(copied):
    dataset = copied / "dataset"
    manifest = json.loads((dataset / "manifest.json").read_text())
    for split in manifest["splits"].values():
        for shard in split["shards"]:
            shard["sha256"] = "0" * 64
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="other records than the manifest"):
        forget(copied, "csv/3.jpg")


def test_a_missing_shard_is_refused(copied):
    min((copied / "dataset").glob("train/*.tfrecord")).unlink()
    with pytest.raises(InputError, match="missing: train-00000-of"):
        forget(copied, "csv/3.jpg")


def test_a_damaged_record_is_named_and_nothing_changes(copied):
    dataset = copied / "dataset"
    shard = min(dataset.glob("train/*.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    old = file_hashes(dataset)
    with pytest.raises(InputError, match=f"^{shard} is damaged at byte 12;"):
        forget(copied, "csv/3.jpg")
    assert file_hashes(dataset) == old


def test_a_linked_shard_is_refused(copied):
    for path in (copied / "dataset").glob("*/*.tfrecord"):
        path.rename(copied / path.name)
        path.symlink_to(copied / path.name)
    with pytest.raises(InputError, match="tfrecord would keep the images"):
        forget(copied, "csv/3.jpg")


def test_another_job_at_work_is_refused(copied):
    lock = str(copied / "dataset" / dataset_folder.LOCK)
    with hold_output(lock), pytest.raises(InputError, match="another job"):
        forget(copied, "csv/3.jpg")


def test_nobody_is_left(copied):
    ids = [f"csv/{i}.jpg" for i in range(COUNT)]
    with pytest.raises(InputError, match="no image would be left"):
        forget(copied, *ids)


def test_the_command_says_what_it_did(copied):
    (copied / "images.txt").write_text("csv/3.jpg\ncsv/none.jpg\n")
    old = Manifest.load(copied / "dataset").fingerprint
    saw = copied / "runs" / "first"
    saw.mkdir(parents=True)
    (saw / "dataset.json").write_text(json.dumps({"fingerprint": old}))
    given = ["--images", copied / "images.txt", "--runs", copied / "runs"]
    done = run("forget", copied / "dataset", *given)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-5:] == [
        f"1 images forgotten, {COUNT - 1} left in {copied / 'dataset'}; no "
        "file there holds their ids, URLs or bytes",
        "  1 in no record: csv/none.jpg",
        f"  saw the images and is as it was: {saw}",
        "class_choices.tsv and vocabulary_report.tsv keep the counts of the "
        "job that made the data set",
        "sources and lists of URLs still name them: take them out there, or "
        "the next job brings them back",
    ]
