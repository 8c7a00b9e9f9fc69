"""Finished data sets: made by the job or by hand, and read again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import tensorflow as tf

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.labels import ledger
from tests.helpers.images import encode
from tests.helpers.records import Label, Record, to_example

CLASSES = 5
_COLOURS = {1: (220, 30, 30), 2: (30, 200, 30), 3: (40, 40, 220)}


def options(raw: Path, out: str = "dataset", **changes) -> DatasetOptions:
    """Returns options as the command line gives them, without caps.

    Args:
        raw: holds `imagenet/` and `open_images/`; `out` is written into it.
    """
    given = {
        "imagenet": [str(raw / "imagenet")],
        "open_images": [str(raw / "open_images")],
        "min_images_open_images": 1,
        "validation_per_class": 0,
        "out": str(raw / out),
        **changes,
    }
    return build_options(DatasetOptions, given)


def build(options: DatasetOptions, *beam_args: str) -> Manifest:
    return build_dataset(options, beam_args, show_progress=False)


def read_examples(dataset: str | Path) -> dict[str, dict]:
    """Returns the features of every record, by image id."""
    manifest = Manifest.load(dataset)
    paths = [
        str(p)
        for s in manifest.splits
        for p in dataset_folder.shard_paths(dataset, s)
    ]
    found = {}
    for data in tf.data.TFRecordDataset(paths):
        parsed = tf.io.parse_single_example(data, records.feature_spec())
        found[parsed[records.IMAGE_ID].numpy().decode()] = {
            k: v.numpy() for k, v in parsed.items()
        }
    return found


def file_hashes(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def write_dataset(folder: Path, images: int = 24) -> Path:
    """Writes images of classes 1 to 3 under root 0; class 4 has none.

    Image i has class 1 + i % 3 and lacks the two others, verified.
    """
    classes = [TagClass(i, f"n0000000{i}", f"c{i}") for i in range(CLASSES)]
    folder.mkdir(parents=True)
    hierarchy = Hierarchy([(), (0,), (0,), (0,), (0,)])
    write_classes(folder, Vocabulary(classes), hierarchy)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    rows = [coloured_square(i) for i in range(images)]
    write_shards(folder, dataset_folder.TRAIN, rows, 2)
    write_shards(folder, dataset_folder.VALIDATION, rows[:6], 1)
    return folder


def write_classes(
    folder: Path, vocabulary: Vocabulary, hierarchy: Hierarchy
) -> None:
    vocabulary.save(folder / load_classes.VOCABULARY)
    hierarchy.save(folder / load_classes.HIERARCHY, vocabulary)


def write_shards(
    folder: Path, split: str, rows: list[Record], count: int = 1
) -> None:
    (folder / split).mkdir()
    for shard in range(count):
        path = folder / dataset_folder.shard_path(split, shard, count)
        write_records(path, rows[shard::count])


def write_records(path: Path, rows: list[Record]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            writer.write(to_example(row))


def coloured_square(index: int) -> Record:
    """Returns a record; its image is a little lighter for each index."""
    label = 1 + index % 3
    colour = np.array(_COLOURS[label], np.uint8) + np.uint8(index)
    pixels = np.full((20, 20, 3), colour, np.uint8)
    rule, source = ledger.Rule, ledger.Source.IMAGENET
    return Record(
        f"imagenet/{index}",
        encode(pixels, "JPEG", quality=95),
        20,
        20,
        [
            Label(0, 1.0, rule.ANCESTOR, label, source),
            Label(label, 0.8, rule.ANNOTATED, label, source),
        ],
        [c for c in _COLOURS if c != label],
    )
