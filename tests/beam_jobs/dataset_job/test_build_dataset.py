"""The whole job on a few images: contents, rejections, determinism."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs import rejections
from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset_job import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError, JobFailedError
from beam_jobs.images.find_images import list_folder
from beam_jobs.labels import ledger
from tests.helpers.datasets import build, file_hashes, options, read_examples
from tests.helpers.images import noise_image
from tests.helpers.raw_sources import (
    APPLE,
    CAT,
    DOG,
    write_defective_open_images,
    write_imagenet,
)
from tests.helpers.tars import write_tar


@pytest.fixture
def raw(tmp_path):
    """10 dogs, 10 cats, and an Open Images folder with every defect."""
    write_imagenet(tmp_path / "imagenet" / "images", (DOG, CAT), 10)
    write_defective_open_images(tmp_path / "open_images")
    return tmp_path


def test_every_input_is_accounted_for(raw):
    manifest = build(options(raw))
    assert manifest.images == {"in": 30, "out": 23, "rejected": 7}
    assert manifest.rejected == {
        "broken_image": 1,
        "duplicate_id": 1,
        "empty_file": 1,
        "malformed_row": 1,
        "missing_image": 1,
        "no_annotation": 1,
        "no_label_in_vocabulary": 1,
        "not_an_image": 1,
    }
    letters = {
        path.stem: [json.loads(line) for line in path.open()]
        for path in (raw / "dataset" / rejections.DEAD_LETTERS).iterdir()
    }
    assert {k: len(v) for k, v in letters.items()} == manifest.rejected
    assert letters["missing_image"][0]["item"] == "open_images/gone"
    assert letters["malformed_row"][0]["item"].endswith("imagelabels.csv:12")
    assert letters["duplicate_id"][0]["path"].endswith("images/twice.jpg")


def test_files_passed_over_are_said_at_the_end(tmp_path):
    for name in ("in/dog/1.jpg", "in/dog/1.txt", "in/dog/2.txt", "in/x.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(noise_image(len(name)))
    given = {"folders": [str(tmp_path / "in")], "out": str(tmp_path / "d")}
    said = []
    build_dataset.build_dataset(
        build_options(DatasetOptions, {**given, "labels_only": True}),
        show_progress=False,
        on_note=said.append,
    )
    assert said == ["files passed over: 2 .txt, 1 .md"]


def test_image_folders_count_what_is_no_image(tmp_path):
    for name in ("a.jpg", "b.cr2", "c.txt", "d"):
        (tmp_path / name).write_bytes(b"x")
    assert list_folder(str(tmp_path)).others == {".cr2": 1}


def test_an_option_at_its_default_asks_for_nothing():
    given = {"csv": ["a.csv"], "out": "d", "min_confidence": 0.7}
    asked = {"sources": {"csv": ("a.csv",)}}
    assert build_options(DatasetOptions, given).request() == asked
    more = {**given, "label_separator": ";", "seed": 1, "overwrite": True}
    assert build_options(DatasetOptions, more).request() == {
        "sources": {"csv": ("a.csv",), "label_separator": ";"},
        "splits": {"seed": 1},
    }


def test_records_hold_closed_labels_and_upright_jpegs(raw):
    build(options(raw))
    vocabulary = Vocabulary.load(raw / "dataset" / load_classes.VOCABULARY)
    tree = Hierarchy.load(raw / "dataset" / load_classes.HIERARCHY, vocabulary)
    examples = read_examples(raw / "dataset")
    good = examples["open_images/good"]
    dog, apple = vocabulary.index_of(DOG), vocabulary.index_of(APPLE)
    closed = {dog, apple, *tree.ancestors(dog), *tree.ancestors(apple)}
    assert set(good[records.LABEL_ID]) == closed
    assert good[records.ABSENT_ID].tolist() == [vocabulary.index_of(CAT)]
    found = ledger.rules_of(good[records.LABEL_LEDGER])
    rules = dict(zip(good[records.LABEL_ID], found, strict=True))
    assert rules[dog] == ledger.Rule.ANNOTATED
    assert rules[tree.roots[0]] == ledger.Rule.ANCESTOR
    turned = examples["open_images/turned"]
    shape = tf.io.decode_jpeg(turned[records.IMAGE_ENCODED]).shape
    assert shape == (40, 48, 3)
    assert turned[records.IMAGE_HEIGHT] == 40
    kept = examples[f"imagenet/{DOG}_3"][records.IMAGE_ENCODED]
    assert kept == noise_image(3), "a good JPEG keeps its bytes"


def test_a_rerun_is_byte_equal(raw):
    first = build(options(raw, images_per_shard=5))
    again = build(options(raw, out="again", images_per_shard=5))
    assert first.fingerprint == again.fingerprint
    assert file_hashes(raw / "dataset") == file_hashes(raw / "again")
    assert len(first.splits["train"]["shards"]) > 1


def test_the_same_request_is_not_built_twice(raw):
    build(options(raw))
    shard = dataset_folder.shard_paths(raw / "dataset", "train")[0]
    before = os.stat(shard).st_mtime_ns
    build(options(raw))
    assert os.stat(shard).st_mtime_ns == before
    build(options(raw, overwrite=True))
    assert os.stat(shard).st_mtime_ns != before


def test_another_request_needs_overwrite(raw):
    build(options(raw))
    with pytest.raises(InputError, match="--overwrite"):
        build(options(raw, seed=1))
    manifest = build(options(raw, seed=1, overwrite=True))
    assert manifest.options["splits"]["seed"] == 1


def test_corrections_change_labels_and_nothing_else(tmp_path):
    write_imagenet(tmp_path / "imagenet", (DOG, CAT), 8)
    rows = [
        f"imagenet/{DOG}_0,{DOG},absent",
        f"imagenet/{DOG}_0,{CAT},present",
        f"imagenet/{DOG}_1,{DOG},absent",
        f"imagenet/none,{DOG},present",
        f"imagenet/{DOG}_2,n00000001,absent",
        f"imagenet/{DOG}_2,rubbish,absent",
    ]
    path = tmp_path / "corrections.csv"
    path.write_text("\n".join(["image_id,wnid,verdict", *rows]) + "\n")
    given = {"imagenet": [str(tmp_path / "imagenet")], "open_images": []}
    plain = build(options(tmp_path, "plain", **given))
    notes: list[str] = []
    corrected = build_dataset.build_dataset(
        options(tmp_path, "new", corrections=[str(path)], **given),
        show_progress=False,
        on_note=notes.append,
    )
    assert corrected.images == {"in": 17, "out": 15, "rejected": 2}
    assert corrected.rejected == {
        "malformed_record": 1,
        "missing_image": 1,
        "no_label_in_vocabulary": 1,
    }
    assert notes[0].startswith("1 corrections say nothing here: n00000001")
    assert corrected.classes == plain.classes
    before, after = (read_examples(tmp_path / n) for n in ("plain", "new"))
    changed = f"imagenet/{DOG}_0"
    for image_id in after.keys() - {changed}:
        for name, value in before[image_id].items():
            assert np.array_equal(after[image_id][name], value)
    new = after[changed]
    vocabulary = Vocabulary.load(tmp_path / "new" / load_classes.VOCABULARY)
    assert vocabulary.index_of(CAT) in new[records.LABEL_ID]
    assert vocabulary.index_of(DOG) in new[records.ABSENT_ID]
    sources = ledger.sources_of(new[records.LABEL_LEDGER])
    assert {*sources.tolist()} == {ledger.Source.CORRECTIONS}


@pytest.mark.parametrize("labels_only", [False, True])
def test_corrections_alone_are_no_images(tmp_path, labels_only):
    path = tmp_path / "corrections.csv"
    path.write_text(f"image_id,wnid,verdict\na/1,{DOG},present\n")
    given = {"imagenet": [], "open_images": [], "corrections": [str(path)]}
    with pytest.raises((InputError, JobFailedError), match="no image"):
        build(options(tmp_path, labels_only=labels_only, **given))


def test_an_unfinished_folder_is_built_anew(raw):
    build(options(raw, images_per_shard=5))
    (raw / "dataset" / dataset_folder.MANIFEST).unlink()
    manifest = build(options(raw))
    shards = dataset_folder.shard_paths(raw / "dataset", "train")
    assert len(shards) == len(manifest.splits["train"]["shards"]) == 1


def test_broken_archive_keeps_what_was_read(raw):
    path = raw / "imagenet" / "images" / f"{DOG}.tar"
    path.write_bytes(path.read_bytes()[:6000])
    manifest = build(options(raw))
    assert manifest.rejected["unreadable_archive"] == 1
    images = manifest.images
    assert images["in"] == images["out"] + images["rejected"]


def test_exact_copies_share_a_split(raw):
    same = noise_image(7)
    path = raw / "imagenet" / "images" / f"{APPLE}.tar"
    write_tar(path, {f"{APPLE}_{i}.JPEG": same for i in range(12)})
    build(options(raw, splits="train=0.5,validation=0.5"))
    where = set()
    for split in ("train", "validation"):
        for shard in dataset_folder.shard_paths(raw / "dataset", split):
            for data in tf.data.TFRecordDataset(str(shard)):
                if APPLE.encode() in data.numpy():
                    where.add(split)
    assert len(where) == 1


def test_names_of_coco_find_their_class_in_a_vocabulary_given(tmp_path):
    (tmp_path / "0.jpg").write_bytes(noise_image(0))
    content = {
        "images": [{"id": 1, "file_name": "0.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 2}],
        "categories": [{"id": 2, "name": "dog"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(content))
    (tmp_path / "vocabulary.tsv").write_text(
        f"index\twnid\tname\n0\t{DOG}\tdog\n"
    )
    given = {
        "coco": [str(tmp_path / "coco.json")],
        "images": [str(tmp_path)],
        "vocabulary": str(tmp_path / "vocabulary.tsv"),
        "validation_per_class": 0,
    }
    given["out"] = str(tmp_path / "dataset")
    build(build_options(DatasetOptions, given))
    examples = read_examples(tmp_path / "dataset")
    assert examples["coco/0.jpg"][records.LABEL_ID].tolist() == [0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imagenet": ["/none"]}, "no such folder: /none"),
        ({"imagenet": [], "open_images": []}, "nothing to read"),
        ({"vocabulary": "/none.txt"}, "vocabulary: no such file"),
    ],
)
def test_wrong_input_is_refused_before_the_job(raw, changes, message):
    wrong = options(raw, **changes)
    with pytest.raises(InputError, match=message):
        build(wrong)
    assert not (raw / "dataset").exists()


def test_wrong_values_are_refused(raw):
    with pytest.raises(InputError, match="min_confidence.*received: 0"):
        options(raw, min_confidence=0)
    with pytest.raises(InputError, match="images_per_shard.*received: 0"):
        options(raw, images_per_shard=0)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    given = {
        "imagenet": [str(tmp_path / "empty")],
        "out": str(tmp_path / "d"),
    }
    with pytest.raises(InputError, match="no ImageNet images"):
        build(build_options(DatasetOptions, given))


def test_a_partition_may_keep_no_image(tmp_path, monkeypatch):
    monkeypatch.setattr(build_dataset, "_partitions", lambda *_: 16)
    (tmp_path / "a.jpg").write_bytes(noise_image(1))
    rows = [f"{name}.jpg,dog" for name in ("a", *range(40))]
    rows.append("a.jpg,cat")
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["image,label", *rows]))
    given = {
        "csv": [str(table)],
        "validation_per_class": 0,
        "out": str(tmp_path / "dataset"),
    }
    manifest = build(build_options(DatasetOptions, given))
    assert manifest.images == {"in": 41, "out": 1, "rejected": 40}
    assert manifest.rejected == {"missing_image": 40}
