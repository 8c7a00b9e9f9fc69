"""Where everything lies in a data set folder."""

from __future__ import annotations

import os

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.rejections import DEAD_LETTERS
from beam_jobs.split_names import CALIBRATION as CALIBRATION
from beam_jobs.split_names import SPLITS
from beam_jobs.split_names import TRAIN as TRAIN
from beam_jobs.split_names import VALIDATION as VALIDATION

MANIFEST = "manifest.json"
CARD = "croissant.json"
STATISTICS = "statistics"
CLASS_CHOICES = "class_choices.tsv"
VOCABULARY_REPORT = "vocabulary_report.tsv"
WORK = ".work"
LOCK = ".lock"


def clear(dataset: str) -> None:
    """Removes what a job writes, the manifest first."""
    storage.remove(storage.join(dataset, MANIFEST))
    storage.remove(storage.join(dataset, CARD))
    for name in (*SPLITS, DEAD_LETTERS, STATISTICS, WORK):
        storage.remove_tree(storage.join(dataset, name))


def shard_path(split: str, index: int, count: int) -> str:
    """Returns a shard's path within the data set folder.

    Example:
        >>> shard_path("train", 0, 4)
        'train/train-00000-of-00004.tfrecord'
    """
    return f"{split}/{split}-{index:05d}-of-{count:05d}.tfrecord"


def shard_paths(dataset: str | os.PathLike[str], split: str) -> list[str]:
    """Returns the shards of a split, in order.

    Raises:
        InputError: no data set there, or the split is empty or unknown.
        OSError: the object store cannot be reached.
    """
    folder = os.fspath(dataset)
    if not storage.exists(storage.join(folder, MANIFEST)):
        raise InputError(
            f"{folder} is no data set (it holds no {MANIFEST}); "
            "`tagforest dataset` makes one"
        )
    shards = _shards(folder, split)
    if not shards:
        have = [s for s in SPLITS if _shards(folder, s)]
        raise InputError(
            f"{folder} has no records in split {split!r}; it has: {have}"
        )
    return shards


def _shards(folder: str, split: str) -> list[str]:
    pattern = storage.join(
        storage.escape(folder), storage.escape(split), f"{split}-*.tfrecord"
    )
    return [path for path, _ in storage.list_files(pattern)]
