"""How many images a split has, and how many each class.

The data set's manifest and statistics say it; only where they do not are the
records read, once: what was counted is kept in the workdir.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.statistics import counts as statistics


@dataclass(frozen=True)
class TrainCounts:
    """Of the training split.

    Attributes:
        images: in it.
        per_class: int64 [classes], images with each class as a label.
    """

    images: int
    per_class: np.ndarray


def fingerprint(dataset: str | os.PathLike[str]) -> str | None:
    """Returns the manifest's fingerprint of a data set, if it has one."""
    return dataset_folder.read_manifest(dataset).get("fingerprint")


def check_has_images(dataset: str | os.PathLike[str]) -> None:
    """Raises InputError for a data set that was made from labels only."""
    options = dataset_folder.read_manifest(dataset).get("options", {})
    if options.get("images", {}).get("labels_only"):
        raise InputError(no_images(dataset))


def no_images(dataset: str | os.PathLike[str]) -> str:
    """Returns what to say of a data set whose records hold no images."""
    return (
        f"{os.fspath(dataset)} was made from labels only: its records hold no "
        "images to train on; run `tagforest dataset` without --labels-only, "
        "with --images or another source of images"
    )


def images_in(dataset: str | os.PathLike[str], split: str) -> int | None:
    """Returns the images of a split as the manifest says, if it does."""
    splits = dataset_folder.read_manifest(dataset).get("splits", {})
    return splits[split]["images"] if split in splits else None


def count(
    dataset: str,
    vocabulary: Vocabulary,
    min_confidence: float,
    remembered: Path,
    read: Callable[[], TrainCounts],
    *,
    write: bool = True,
) -> TrainCounts:
    """Returns the counts of the training split.

    Args:
        remembered: file to keep in what had to be read, and to look in.
        read: counts in the records.
    """
    images = images_in(dataset, dataset_folder.TRAIN)
    # Statistics count every label, whatever its confidence.
    if images is not None and min_confidence <= 0 and _has_statistics(dataset):
        counts = statistics.load_images_per_class(
            dataset, dataset_folder.TRAIN, vocabulary
        )
        return TrainCounts(images, counts)
    key = _key(dataset, vocabulary, min_confidence)
    kept = _load(remembered)
    if kept.get("key") == key:
        counts = np.array(kept["per_class"], np.int64)
        return TrainCounts(kept["images"], counts)
    found = read()
    # One worker alone: all see the same folder.
    if write:
        values = {"images": found.images, "key": key}
        values["per_class"] = found.per_class.tolist()
        storage.write_text(remembered, json.dumps(values) + "\n")
    return found


def _has_statistics(dataset: str) -> bool:
    name = statistics.STATISTICS_FILE
    return storage.exists(
        storage.join(dataset, dataset_folder.STATISTICS, name)
    )


def _key(dataset: str, vocabulary: Vocabulary, min_confidence: float) -> str:
    """Returns what the counts depend on, as a digest."""
    shards = dataset_folder.shard_paths(dataset, dataset_folder.TRAIN)
    # Sizes instead of contents: to read them is what this saves.
    sizes = [(os.path.basename(s), storage.size(s)) for s in shards]
    text = json.dumps([sizes, vocabulary.fingerprint, min_confidence])
    return hashlib.sha256(text.encode()).hexdigest()


def _load(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
