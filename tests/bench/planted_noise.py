"""A data set with labels that are known to be wrong, for `bench.audit`.

The records of a sound data set become image files and a table of labels, a
part of which is replaced or left out. The data set job reads both, so the
noise goes the way of any other label.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from beam_jobs.classes.load_classes import VOCABULARY, load_folder
from beam_jobs.cli_options import build_options
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.dataset.read_records import read_batches
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions

WRONG, DROPPED = 0.05, 0.10


class Truth(NamedTuple):
    """What is known of a planted data set.

    Attributes:
        labels: class ids, ancestors included, by image id.
        given: leaf-most labels after planting.
        wrong: those of them that were replaced.
        dropped: those left out.
    """

    labels: dict[str, frozenset[str]]
    given: int
    wrong: int
    dropped: int


def plant(
    clean: Path, folder: Path, *, images: int | None = None, seed: int = 0
) -> Truth:
    """Writes `folder/dataset` from a data set; returns what is true of it.

    Of the leaf-most labels 5 % become another leaf of the data set, and of
    the rest 10 % are left out where another one stays.

    Args:
        clean: the sound data set; its splits are taken together.
        images: at most so many, in the order of the records.
    """
    vocabulary, hierarchy = load_folder(clean)
    rows = list(_rows(clean, hierarchy))[:images]
    leaves = sorted({i for row in rows for i in row[2] if hierarchy.is_leaf[i]})
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    truth, counts = {}, np.zeros(3, np.int64)
    with open(folder / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "label"])
        for number, (data, labels, own) in enumerate(rows):
            name = f"{number:06d}.jpg"
            (folder / "images" / name).write_bytes(data)
            noisy, wrong, dropped = disturb(own, labels, leaves, rng)
            counts += [len(noisy), wrong, dropped]
            table.writerows([name, vocabulary[i].wnid] for i in noisy)
            truth[f"csv/{name}"] = frozenset(vocabulary[i].wnid for i in labels)
    _build(clean, folder)
    return Truth(truth, *counts.tolist())


def disturb(
    own: list[int],
    labels: set[int],
    leaves: list[int],
    rng: np.random.Generator,
) -> tuple[list[int], int, int]:
    """Returns an image's leaf-most labels with noise, and how many changed.

    Args:
        own: its leaf-most labels.
        labels: these and their ancestors.
        leaves: classes that a label may become.
    """
    noisy, wrong, dropped = [], 0, 0
    for label in own:
        if rng.random() < WRONG:
            others = [i for i in leaves if i not in labels and i not in noisy]
            noisy.append(int(rng.choice(others)))
            wrong += 1
        elif rng.random() < DROPPED and len(noisy) + (label != own[-1]) > 0:
            dropped += 1
        else:
            noisy.append(label)
    return noisy, wrong, dropped


def _rows(clean: Path, hierarchy) -> Iterator[tuple[bytes, set, list[int]]]:
    """Yields image, labels and leaf-most labels of every record."""
    for split in dataset_folder.SPLITS:
        if not (clean / split).is_dir():
            continue
        for shard in dataset_folder.shard_paths(clean, split):
            for batch in read_batches(shard, 64):
                images = batch.parsed[records.IMAGE_ENCODED].numpy().tolist()
                ids = batch.parsed[records.LABEL_ID].to_list()
                for data, labels in zip(images, ids, strict=True):
                    above = {a for i in labels for a in hierarchy.ancestors(i)}
                    own = [i for i in labels if i not in above]
                    yield data, set(labels), own


def _build(clean: Path, folder: Path) -> None:
    given = {
        "csv": [str(folder / "labels.csv")],
        "images": [str(folder / "images")],
        "vocabulary": str(clean / VOCABULARY),
        "splits": "train=0.9,validation=0.1",
        "validation_per_class": 0,
        "out": str(folder / "dataset"),
    }
    options = build_options(DatasetOptions, given)
    build_dataset(options, show_progress=False)
