"""Where everything lies in a data set folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.rejections import DEAD_LETTERS
from beam_jobs.split_names import CALIBRATION as CALIBRATION
from beam_jobs.split_names import SPLITS
from beam_jobs.split_names import TEST as TEST
from beam_jobs.split_names import TRAIN as TRAIN
from beam_jobs.split_names import VALIDATION as VALIDATION

MANIFEST = "manifest.json"
CARD = "croissant.json"
ACROSS_SPLITS = "across_splits.txt"
STATISTICS = "statistics"
CLASS_CHOICES = "class_choices.tsv"
VOCABULARY_REPORT = "vocabulary_report.tsv"
WORK = ".work"
LOCK = ".lock"
_COUNT = re.compile(r"-of-(\d+)\.tfrecord$")
# Of the shards that an error is about.
_NAMED = 3


def clear(dataset: str) -> None:
    """Removes what a job writes, the manifest first."""
    storage.remove(storage.join(dataset, MANIFEST))
    for name in (CARD, ACROSS_SPLITS):
        storage.remove(storage.join(dataset, name))
    for name in (*SPLITS, DEAD_LETTERS, STATISTICS, WORK):
        storage.remove_tree(storage.join(dataset, name))


def shard_path(split: str, index: int, count: int) -> str:
    """Returns a shard's path within the data set folder.

    Example:
        >>> shard_path("train", 0, 4)
        'train/train-00000-of-00004.tfrecord'
    """
    return f"{split}/{split}-{index:05d}-of-{count:05d}.tfrecord"


def read_manifest(dataset: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns what the manifest of a data set says.

    Raises:
        InputError: there is none, or it is damaged.
        OSError: the object store cannot be reached.
    """
    path = storage.join(dataset, MANIFEST)
    if not storage.exists(path):
        raise InputError(
            f"{os.fspath(dataset)} is no data set (it holds no {MANIFEST}); "
            "`tagforest dataset` makes one"
        )
    try:
        return json.loads(storage.read_text(path))
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}); make the data set anew with "
            "`tagforest dataset --overwrite`"
        ) from error


def shard_paths(dataset: str | os.PathLike[str], split: str) -> list[str]:
    """Returns the shards of a split, in order: see `shard_sizes`."""
    return list(shard_sizes(dataset, split))


def shard_records(
    dataset: str | os.PathLike[str], split: str
) -> dict[str, int]:
    """Returns the records of each shard by path, where the manifest says it."""
    shards = read_manifest(dataset).get("splits", {}).get(split, {})
    return {
        storage.join(dataset, shard["path"]): shard["records"]
        for shard in shards.get("shards", ())
        if "records" in shard
    }


def shard_sizes(dataset: str | os.PathLike[str], split: str) -> dict[str, int]:
    """Returns the bytes of the shards of a split by path, in order.

    By names and sizes alone they are those that the manifest names.

    Raises:
        InputError: no data set there, the split is empty or unknown, or a
            shard is missing, cut or of another data set.
        OSError: the object store cannot be reached.
    """
    folder = os.fspath(dataset)
    splits = read_manifest(folder).get("splits", {})
    found = _shards(folder, split)
    if not found and split not in splits:
        have = [s for s in SPLITS if s in splits or _shards(folder, s)]
        raise InputError(
            f"{folder} has no records in split {split!r}; it has: {have}"
        )
    _check_names(folder, split, found, splits.get(split))
    _check_sizes(found, splits.get(split))
    return found


def check_shards(dataset: str | os.PathLike[str]) -> None:
    """Checks the shards of all splits that the manifest names.

    Raises:
        InputError: as `shard_paths`.
    """
    for split in read_manifest(os.fspath(dataset)).get("splits", {}):
        shard_paths(dataset, split)


def all_shards(dataset: str | os.PathLike[str]) -> list[str]:
    """Returns the shards of all splits that are there, unchecked."""
    folder = os.fspath(dataset)
    return [path for split in SPLITS for path in _shards(folder, split)]


def _shards(folder: str, split: str) -> dict[str, int]:
    pattern = storage.join(
        storage.escape(folder), storage.escape(split), f"{split}-*.tfrecord"
    )
    return dict(storage.list_files(pattern))


# What the manifest says of a split; None where the data set was made by hand.
_Described = Mapping[str, Any] | None


def _check_names(
    folder: str, split: str, found: Mapping[str, int], described: _Described
) -> None:
    names = {os.path.basename(path) for path in found}
    if described:
        wanted = {os.path.basename(s["path"]) for s in described["shards"]}
    elif count := _COUNT.search(min(names)):
        paths = (
            shard_path(split, i, int(count[1])) for i in range(int(count[1]))
        )
        wanted = {os.path.basename(path) for path in paths}
    else:
        wanted = names
    for what, those in (
        ("missing", wanted - names),
        ("of another data set", names - wanted),
    ):
        if those:
            more = ", ..." if len(those) > _NAMED else ""
            raise InputError(
                f"{storage.join(folder, split)}: of {len(wanted)} shards that "
                f"belong there {len(wanted & names)} are there; {what}: "
                f"{', '.join(sorted(those)[:_NAMED])}{more}; copy the data set "
                "anew, as a whole"
            )


def _check_sizes(found: Mapping[str, int], described: _Described) -> None:
    shards = described["shards"] if described else []
    sizes = {os.path.basename(s["path"]): s.get("bytes") for s in shards}
    # The hash may have drawn no image for a shard.
    empty = {
        os.path.basename(s["path"]) for s in shards if not s.get("records", 1)
    }
    for path, size in found.items():
        wanted = sizes.get(os.path.basename(path))
        is_empty = not size and os.path.basename(path) not in empty
        if is_empty or size != (wanted or size):
            raise InputError(
                f"{path}: {size} bytes instead of {wanted or 'records'}: it is "
                "cut or of another data set; copy the data set anew"
            )
    total = sum(found.values())
    if described and total != described.get("bytes", total):
        raise InputError(
            f"{os.path.dirname(min(found))}: {total} bytes of shards, where "
            f"the manifest says {described['bytes']}: one is cut or of "
            "another data set; copy the data set anew"
        )
