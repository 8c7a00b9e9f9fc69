"""The published rows of Tencent ML-Images go through the whole job."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.cli_options import build_options
from beam_jobs.dataset import records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.labels import ledger
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.sources import tencent
from tests.helpers.datasets import read_examples
from tests.helpers.shared_data import TENCENT, TENCENT_DICTIONARY, needs_tencent

pytestmark = needs_tencent


def build(out, **given) -> Manifest:
    options = build_options(
        DatasetOptions,
        {"vocabulary": str(TENCENT_DICTIONARY), **given, "out": out},
    )
    return build_dataset(options, show_progress=False)


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """The list of 100 URLs, without pictures."""
    out = str(tmp_path_factory.mktemp("rows") / "dataset")
    build(
        out,
        tencent_lists=[str(TENCENT / "train_urls_tiny.txt")],
        labels_only=True,
    )
    return out


@pytest.fixture(scope="module")
def examples(listed):
    return list(read_examples(listed).values())


def test_every_row_becomes_a_record(listed, examples):
    manifest = Manifest.load(listed)
    assert manifest.images == {"in": 100, "out": 100, "rejected": 0}
    assert manifest.classes["count"] == 11_166
    lines = (TENCENT / "train_urls_tiny.txt").read_text().splitlines()
    names = {f"tencent/{line.split()[0]}" for line in lines}
    assert {e[records.IMAGE_ID].decode() for e in examples} == names


def test_every_record_is_closed(listed, examples):
    vocabulary = Vocabulary.load(Path(listed) / load_classes.VOCABULARY)
    tree = Hierarchy.load(Path(listed) / load_classes.HIERARCHY, vocabulary)
    for example in examples:
        ids = example[records.LABEL_ID].tolist()
        sure = dict(zip(ids, example[records.LABEL_CONFIDENCE], strict=True))
        for label in ids:
            for ancestor in tree.ancestors(label):
                assert sure[ancestor] >= sure[label]


def test_276_missing_ancestors_join_827_labels(examples):
    """The figures of the raw list: 65 of 100 rows are not closed."""
    ledgers = [example[records.LABEL_LEDGER] for example in examples]
    assert all(set(ledger.sources_of(x)) == {Source.TENCENT} for x in ledgers)
    listed = [
        {*e[records.ANNOTATION_ID].tolist()}
        | {*e[records.LABEL_ID][ledger.rules_of(x) == Rule.ANNOTATED].tolist()}
        for e, x in zip(examples, ledgers, strict=True)
    ]
    added = [
        len(set(e[records.LABEL_ID].tolist()) - was)
        for e, was in zip(examples, listed, strict=True)
    ]
    assert sum(map(len, listed)) == 827
    assert sum(added) == 276
    assert sum(count > 0 for count in added) == 65
    assert np.mean([len(x) for x in ledgers]) == pytest.approx(11.03)


def test_labels_take_under_200_bytes_a_record(listed):
    splits = Manifest.load(listed).splits.values()
    mean = sum(split["label_bytes"] for split in splits) / 100
    print(f"{mean:.2f} label bytes a record")
    assert mean < 200


def test_original_records_keep_their_pictures(tmp_path):
    folder = TENCENT / "tfrecords"
    manifest = build(str(tmp_path / "out"), tencent_records=[str(folder)])
    originals = original_records(folder / "0.tfrecords")
    assert manifest.images == {
        "in": len(originals),
        "out": len(originals),
        "rejected": 0,
    }
    made = read_examples(tmp_path / "out")
    assert set(made) == set(originals)
    for image_id, (data, classes) in originals.items():
        record = made[image_id]
        assert classes <= set(record[records.LABEL_ID].tolist())
        with Image.open(io.BytesIO(record[records.IMAGE_ENCODED])) as image:
            image.load()
            assert (image.format, image.mode in ("RGB", "L")) == ("JPEG", True)
            size = (record[records.IMAGE_WIDTH], record[records.IMAGE_HEIGHT])
            assert image.size == size
        if is_good_jpeg(data):
            assert record[records.IMAGE_ENCODED] == data


def original_records(path) -> dict[str, tuple[bytes, set[int]]]:
    """Returns image bytes and positive classes by image id."""
    found = {}
    for frame in tencent.read_frames(str(path)):
        features = tf.train.Example.FromString(frame.data).features.feature
        name, data, label = (
            features[key].bytes_list.value[0]
            for key in ("name", "image", "label")
        )
        positive = np.flatnonzero(np.frombuffer(label, "<f4") >= 0.7)
        found[f"tencent/{name.decode()}"] = data, set(positive.tolist())
    return found


def is_good_jpeg(data: bytes) -> bool:
    """Tells whether a picture is upright, and RGB or grayscale."""
    with Image.open(io.BytesIO(data)) as image:
        upright = image.getexif().get(0x0112, 1) == 1
        return image.format == "JPEG" and image.mode in ("RGB", "L") and upright
