"""Third stage: all images, by their hashes alone -> splits and shards."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset_job import carried
from beam_jobs.dataset_job.kept_splits import keep_splits
from beam_jobs.dataset_job.options import SplitOptions
from beam_jobs.dataset_job.splits import (
    SplitReport,
    assign_splits,
)
from beam_jobs.files import storage
from beam_jobs.labels.ledger import Source
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
        kept: what there is to say of splits that were kept; see `KeptReport`.
        across: ids of images outside train that are like one of another
            split, sorted.
    """

    shards: list[ShardPlan]
    images: dict[str, int]
    moved: dict[str, int]
    kept: dict[str, int]
    across: list[str]


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
    rows = [len(part.content) for part in columns]
    content = np.concatenate([part.content for part in columns])
    perceptual = None
    if not labels_only:
        perceptual = np.concatenate([part.perceptual for part in columns])
    report, kept, across = SplitReport(), {}, np.zeros(len(content), bool)
    if options.kept:
        given = np.concatenate([part.given for part in columns])
        splits, across, found = keep_splits(content, perceptual, given, options)
        kept = asdict(found)
    else:
        lengths = [np.diff(part.class_splits) for part in columns]
        splits, report = assign_splits(
            content,
            perceptual,
            np.append(0, np.cumsum(np.concatenate(lengths))),
            np.concatenate([part.classes for part in columns]),
            options,
        )
    ends = np.cumsum(rows)
    for path, part in zip(paths, np.split(splits, ends[:-1]), strict=True):
        _save_splits(path, part)
    shards, images = _count_shards(splits, images_per_shard)
    ids = [
        image_id
        for path, part in zip(paths, np.split(across, ends[:-1]), strict=True)
        if part.any()
        for image_id in _ids_of(path, np.flatnonzero(part))
    ]
    return Plan(shards, images, asdict(report), kept, sorted(ids))


def _ids_of(path: str, rows: np.ndarray) -> list[str]:
    with open_partitions(path) as file:
        columns = [batch.column("image_id") for _, batch in file.read_all()]
        return pa.chunked_array(columns).take(pa.array(rows)).to_pylist()


class _Columns(NamedTuple):
    """What the plan needs of the images of a file.

    Attributes:
        content, perceptual: uint64 [images], hashes.
        class_splits, classes: of what is annotated as present.
        given: int8 [images], the source's split; -1 for none.
    """

    content: np.ndarray
    perceptual: np.ndarray
    class_splits: np.ndarray
    classes: np.ndarray
    given: np.ndarray


def _read_columns(path: str) -> _Columns:
    with open_partitions(path) as file:
        rows = pa.Table.from_batches(
            [batch for _, batch in file.read_all()], file.schema
        ).combine_chunks()
    batch = rows.to_batches()[0] if len(rows) else None
    if batch is None:
        none = np.empty(0, np.uint64)
        return _Columns(
            none,
            none,
            np.zeros(1, np.int64),
            np.empty(0, np.int32),
            np.empty(0, np.int8),
        )
    splits, classes = ragged(batch.column("classes"))
    said = ragged(batch.column("confidences"))[1] > 0
    # A corrected image stays in its split: its scores are held out or not.
    said &= ragged(batch.column("sources"))[1] != Source.CORRECTIONS
    return _Columns(
        batch.column("content").to_numpy(),
        batch.column("perceptual").to_numpy(),
        np.append(0, np.cumsum(said))[splits],
        classes[said],
        _given(batch),
    )


def _given(batch: pa.RecordBatch) -> np.ndarray:
    if carried.SPLIT not in batch.schema.names:
        return np.full(len(batch), -1, np.int8)
    codes = {name: code for code, name in enumerate(dataset_folder.SPLITS)}
    names = batch.column(carried.SPLIT).to_pylist()
    return np.array([codes.get(name, -1) for name in names], np.int8)


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
    splits: np.ndarray, images_per_shard: int
) -> tuple[list[ShardPlan], dict[str, int]]:
    shards, images = [], {}
    counts = np.bincount(splits, minlength=len(dataset_folder.SPLITS)).tolist()
    for split, rows in zip(dataset_folder.SPLITS, counts, strict=True):
        count = -(-rows // images_per_shard)
        shards += [ShardPlan(split, index, count) for index in range(count)]
        if rows:
            images[split] = rows
    return shards, images
