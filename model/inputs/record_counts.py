"""What must be counted in the training records, where nothing else says it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from beam_jobs.classes.load_classes import load_vocabulary
from beam_jobs.dataset import dataset_folder, record_index, records
from beam_jobs.dataset.record_index import SplitIndex
from beam_jobs.errors import InputError
from model import workdir as files
from model.config import DataConfig
from model.inputs import train_batches, train_counts
from model.inputs.record_reader import RecordReader
from model.inputs.skipped_records import SkippedRecords
from model.inputs.train_counts import TrainCounts


def count(
    dataset: str,
    config: DataConfig,
    workdir: Path,
    *,
    write: bool = True,
) -> TrainCounts:
    """Returns the counts of the training split; makes what its index lacks.

    Args:
        workdir: keeps what had to be read.
        write: what is counted.

    Raises:
        InputError: the records hold no images, or as `label_counts`.
    """
    vocabulary = load_vocabulary(dataset)
    index = open_index(dataset, workdir)
    if not has_images(index):
        raise InputError(train_counts.no_images(dataset))

    def read():
        counts = label_counts(
            index,
            len(vocabulary),
            config.min_confidence,
            config.skip_damaged,
        )
        return TrainCounts(len(index), counts)

    return train_counts.count(
        dataset,
        vocabulary,
        config.min_confidence,
        workdir / files.COUNTS,
        read,
        write=write,
    )


def open_index(
    dataset: str | os.PathLike[str], workdir: Path | None = None
) -> SplitIndex:
    """Returns the index of the training records; makes what is missing.

    Args:
        workdir: keeps it where the data set may only be read.

    Raises:
        InputError: no such data set, or a damaged shard.
    """
    folder = workdir and workdir / files.RECORD_INDEX
    return record_index.open_index(dataset, dataset_folder.TRAIN, folder)


def has_images(index: SplitIndex) -> bool:
    """Returns whether the first record that can be read holds an image."""
    # One stands for all: a data set has images in every record, or in none.
    for rows in _sound_rows(index, share=1.0):
        return bool(train_batches.image_of(rows[0])[0])
    return False


def label_counts(
    index: SplitIndex,
    classes: int,
    min_confidence: float = 0.0,
    skip_damaged: float = 0.0,
) -> np.ndarray:
    """Returns int64 [classes]: images with each class as a label.

    Args:
        skip_damaged: share of the records that may be damaged.

    Raises:
        InputError: a record has a label that the vocabulary lacks, or too
            many are damaged.
    """
    spec = records.feature_spec(records.LABEL_ID, records.LABEL_CONFIDENCE)
    counts = np.zeros(classes, np.int64)
    for rows in _sound_rows(index, skip_damaged):
        row = tf.io.parse_example(rows, spec)
        sure = row[records.LABEL_CONFIDENCE].flat_values >= min_confidence
        ids = row[records.LABEL_ID].flat_values.numpy()[sure.numpy()]
        if ids.size and not 0 <= ids.min() <= ids.max() < classes:
            raise InputError(
                f"a record has label {ids.max()}, the vocabulary has "
                f"{classes} classes: the data set's files do not belong "
                "together; run `tagforest dataset` again"
            )
        counts += np.bincount(ids, minlength=classes)
    return counts


def _sound_rows(index: SplitIndex, share: float) -> Iterator[list[bytes]]:
    """Yields all records, some together, without damaged ones."""
    skipped = SkippedRecords(share, len(index))
    place = 0
    for found in RecordReader(index, requests=1).read_in_order():
        rows = []
        for row in found:
            if isinstance(row, InputError):
                skipped.add(0, place, row)
            else:
                rows.append(row)
            place += 1
        if rows:
            yield rows
