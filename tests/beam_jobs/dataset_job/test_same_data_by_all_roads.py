"""One set of labelled images by every road that people keep it in."""

import csv
import hashlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.labels.ledger import rules_of
from tests.helpers.datasets import build
from tests.helpers.images import noise_image
from tests.helpers.tars import write_tar

CLASSES = ("dog", "no helmet", "n07753592", "wine glass")
# Not every one is a JPEG that stays as it is.
NAMES = [f"{i}.{'png' if i == 5 else 'jpg'}" for i in range(8)]
JUNK = "junk.jpg"


def label(name):
    return CLASSES[ord(name[0]) % len(CLASSES)]


def content(name):
    if name == JUNK:
        return b"no image"
    form = "PNG" if name.endswith("png") else "JPEG"
    return noise_image(int(name[0]), form=form)


def write_images(folder, name_of=lambda name: name):
    for name in (*NAMES, JUNK):
        path = folder / name_of(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name))


def folders(root):
    write_images(root, lambda name: f"{label(name)}/{name}")
    return {"folders": root}


def table(root):
    write_images(root / "images")
    with open(root / "labels.csv", "w", newline="") as file:
        rows = ((name, label(name)) for name in (*NAMES, JUNK))
        csv.writer(file).writerows([("image", "label"), *rows])
    return {"csv": root / "labels.csv", "images": root / "images"}


def hugging_face(root):
    write_images(root / "train")
    lines = (
        json.dumps({"file_name": name, "label": [label(name)]})
        for name in (*NAMES, JUNK)
    )
    (root / "train" / "metadata.jsonl").write_text("\n".join(lines))
    return {"folders": root}


def parquet(root):
    feature = {"_type": "ClassLabel", "names": CLASSES}
    info = {"info": {"features": {"label": feature}}}
    columns = {
        "image": [{"bytes": content(n), "path": n} for n in (*NAMES, JUNK)],
        "label": [CLASSES.index(label(n)) for n in (*NAMES, JUNK)],
    }
    metadata = {"huggingface": json.dumps(info)}
    written = pa.table(columns).replace_schema_metadata(metadata)
    pq.write_table(written, root / "data.parquet", row_group_size=3)
    return {"parquet": root}


def webdataset(root):
    members = {}
    for name in (*NAMES, JUNK):
        members[name] = content(name)
        members[f"{name.partition('.')[0]}.cls"] = label(name).encode()
    write_tar(root / "shard.tar", members)
    return {"webdataset": root / "shard.tar"}


def coco(root):
    write_images(root / "images")
    names = [*NAMES, JUNK]
    entries = {
        "images": [{"id": i, "file_name": n} for i, n in enumerate(names)],
        "annotations": [
            {"image_id": i, "category_id": CLASSES.index(label(n))}
            for i, n in enumerate(names)
        ],
        "categories": [{"id": i, "name": n} for i, n in enumerate(CLASSES)],
    }
    (root / "a.json").write_text(json.dumps(entries))
    return {"coco": root / "a.json", "images": root / "images"}


def label_studio(root):
    write_images(root / "images")
    tasks = [
        {
            "data": {"image": f"/data/upload/1/0a1b2c3d-{name}"},
            "annotations": [
                {"result": [{"value": {"rectanglelabels": [label(name)]}}]}
            ],
        }
        for name in (*NAMES, JUNK)
    ]
    (root / "a.json").write_text(json.dumps(tasks))
    return {"label_studio": root / "a.json", "images": root / "images"}


def cvat(root):
    write_images(root / "images")
    images = (
        f'<image name="{name}"><box label="{label(name)}"/></image>'
        for name in (*NAMES, JUNK)
    )
    text = f"<annotations>{''.join(images)}</annotations>"
    (root / "annotations.xml").write_text(text)
    return {"cvat": root / "annotations.xml"}


def yolo(root):
    write_images(root / "images")
    (root / "labels").mkdir()
    for name in (*NAMES, JUNK):
        text = f"{CLASSES.index(label(name))} 0.5 0.5 0.1 0.1"
        (root / "labels" / f"{name.partition('.')[0]}.txt").write_text(text)
    (root / "data.yaml").write_text(f"names: [{', '.join(CLASSES)}]")
    return {"yolo": root}


def built(root, road):
    root.mkdir()
    given = {name: str(path) for name, path in road(root).items()}
    repeated = {name: [path] for name, path in given.items()}
    options = build_options(
        DatasetOptions,
        {**repeated, "out": str(root / "dataset"), "validation_per_class": 0},
    )
    return root / "dataset", build(options)


def fingerprint(dataset, manifest):
    """Returns a digest of all records in their order, and of the classes.

    All but what names the road: the id of an image and the source of a label.
    """
    digest = hashlib.sha256(json.dumps(manifest.classes).encode())
    for split in manifest.splits:
        paths = dataset_folder.shard_paths(dataset, split)
        for data in tf.data.TFRecordDataset([str(path) for path in paths]):
            example = tf.train.Example.FromString(data.numpy())
            features = example.features.feature
            del features[records.IMAGE_ID]
            ledger = features[records.LABEL_LEDGER].int64_list.value
            ledger[:] = [rules_of(code) for code in ledger]
            digest.update(split.encode())
            digest.update(example.SerializeToString(deterministic=True))
    return digest.hexdigest()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory):
    return fingerprint(*built(tmp_path_factory.mktemp("a") / "raw", folders))


@pytest.mark.parametrize(
    "road",
    [
        table,
        hugging_face,
        parquet,
        webdataset,
        coco,
        label_studio,
        cvat,
        yolo,
    ],
    ids=lambda road: road.__name__,
)
def test_every_road_leads_to_the_same_records(tmp_path, road, wanted):
    dataset, manifest = built(tmp_path / "raw", road)
    assert manifest.images == {"in": 9, "out": 8, "rejected": 1}
    assert fingerprint(dataset, manifest) == wanted
    (letter,) = (dataset / "dead_letters").iterdir()
    assert letter.name == "not_an_image.jsonl"
    assert ".work" not in letter.read_text()


def test_an_image_whose_name_is_no_text_is_a_dead_letter(tmp_path):
    def road(root):
        given = folders(root)
        name = os.fsencode(root / "dog") + b"/\xff.jpg"
        Path(os.fsdecode(name)).write_bytes(content(NAMES[0]))
        return given

    dataset, manifest = built(tmp_path / "raw", road)
    assert manifest.images == {"in": 10, "out": 8, "rejected": 2}
    letters = (dataset / "dead_letters" / "unreadable_file.jsonl").read_text()
    assert "its name is no UTF-8 text" in letters
