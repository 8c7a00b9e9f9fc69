"""Third stage: all images, by their hashes alone -> splits and shards."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset_job.options import SplitOptions
from beam_jobs.dataset_job.splits import SplitReport, assign_splits
from beam_jobs.files import storage
from beam_jobs.runners.shuffle_files import open_partitions, ragged


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write.

    Attributes:
        split: its split.
        index, count: which of how many.
    """

    split: str
    index: int
    count: int


@dataclass(frozen=True)
class Plan:
    """What is to be written.

    Attributes:
        shards: all of them.
        images: by split.
        moved: images that caps or near-duplicates put into another split
            than their hash, by reason.
    """

    shards: list[ShardPlan]
    images: dict[str, int]
    moved: dict[str, int]


def plan_shards(
    paths: Sequence[str],
    options: SplitOptions,
    images_per_shard: int,
    labels_only: bool,
) -> Plan:
    """Assigns every image to a split and counts the shards.

    Beside every file goes one with the splits of its rows. Memory: 17 bytes
    an image and 4 an annotated class.

    Args:
        paths: files of the second stage.
        options: of the splits.
        images_per_shard: at most; the count of shards follows from it.
        labels_only: there are no perceptual hashes.
    """
    # Workers finish in any order; the plan must not depend on it.
    paths = sorted(paths)
    columns = [_read_columns(path) for path in paths]
    rows = [len(content) for content, _, _, _ in columns]
    content = np.concatenate([c for c, _, _, _ in columns])
    lengths = np.concatenate([np.diff(s) for _, _, s, _ in columns])
    splits, report = assign_splits(
        content,
        None
        if labels_only
        else np.concatenate([hashes for _, hashes, _, _ in columns]),
        np.append(0, np.cumsum(lengths)),
        np.concatenate([classes for _, _, _, classes in columns]),
        options,
    )
    ends = np.cumsum(rows)
    for path, part in zip(paths, np.split(splits, ends[:-1]), strict=True):
        _save_splits(path, part)
    return _count_shards(splits, report, images_per_shard)


def _read_columns(path: str):
    """Returns content, perceptual hashes, splits and ids of classes."""
    with open_partitions(path) as file:
        rows = pa.Table.from_batches(
            [batch for _, batch in file.read_all()], file.schema
        ).combine_chunks()
    batch = rows.to_batches()[0] if len(rows) else None
    if batch is None:
        none = np.empty(0, np.uint64)
        return none, none, np.zeros(1, np.int64), np.empty(0, np.int32)
    splits, classes = ragged(batch.column("classes"))
    said = ragged(batch.column("confidences"))[1] > 0
    return (
        batch.column("content").to_numpy(),
        batch.column("perceptual").to_numpy(),
        np.append(0, np.cumsum(said))[splits],
        classes[said],
    )


def _save_splits(path: str, splits: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, splits.astype(np.int8), allow_pickle=False)
    target = f"{path}.splits"
    temporary = storage.work_file(target)
    with open(temporary, "wb") as file:
        file.write(buffer.getvalue())
    storage.publish(temporary, target)


def load_splits(path: str) -> np.ndarray:
    """Returns int8 [rows]: the split of each row of a file, by position."""
    with storage.open_read(f"{path}.splits") as file:
        return np.load(io.BytesIO(file.read()), allow_pickle=False)


def _count_shards(
    splits: np.ndarray, report: SplitReport, images_per_shard: int
) -> Plan:
    shards, images = [], {}
    counts = np.bincount(splits, minlength=len(dataset_folder.SPLITS)).tolist()
    for split, rows in zip(dataset_folder.SPLITS, counts, strict=True):
        count = -(-rows // images_per_shard)
        shards += [ShardPlan(split, index, count) for index in range(count)]
        if rows:
            images[split] = rows
    return Plan(shards, images, asdict(report))
