"""What `reading` measures in processes of their own.

They import what a training's input does, and nothing of the data set job.
"""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from model.config import DataConfig
from model.inputs import (
    input_pipeline,
    record_counts,
    record_order,
    train_batches,
)
from model.inputs.epoch_reader import EpochReader
from model.inputs.record_order import BlockOrder, RecordOrder
from model.inputs.record_reader import RecordReader
from model.inputs.skipped_records import SkippedRecords

# Images a step; and of the paper's data.
BATCH, MANY_BATCH = 1024, 4096


def open_reader(
    dataset: Path, config: DataConfig, batch_size: int
) -> tuple[RecordReader, RecordOrder | BlockOrder]:
    index = record_counts.open_index(dataset)
    order = record_order.make_order(config, index, batch_size, seed=0)
    return RecordReader(index, config.read_ahead), order


def part(dataset: Path, worker: int, workers: int) -> tf.data.Dataset:
    """Returns what a worker reads in an epoch, undecoded."""
    reader, order = open_reader(dataset, DataConfig(reading="records"), BATCH)
    epochs = EpochReader(reader, order, SkippedRecords(0, 1), 1)
    context = tf.distribute.InputContext(workers, worker, workers)
    steps = len(reader.index) // BATCH
    parts = train_batches.Parts(BATCH, steps, context)
    return train_batches.read(epochs, parts, (0, 0), 1).prefetch(2)


def drain(batches: tf.data.Dataset) -> None:
    """Reads all."""
    for _ in batches:
        pass


def seconds_of_parts(
    dataset: str, worker: int, workers: int, rounds: int
) -> list[float]:
    """Returns the seconds of passes over a worker's part, on one core.

    Args:
        rounds: how many passes.
    """
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[worker % len(cores)]})
    batches = part(Path(dataset), worker, workers)
    drain(batches)
    print("ready", flush=True)
    sys.stdin.readline()
    times = [time.perf_counter()]
    for _ in range(rounds):
        drain(batches)
        times.append(time.perf_counter())
    return [after - before for before, after in itertools.pairwise(times)]


def peak(dataset: str, settings: dict[str, Any]) -> int:
    """Returns the bytes by which two epochs of reading let a process grow."""
    reader, order = open_reader(Path(dataset), DataConfig(**settings), BATCH)
    steps = len(reader.index) // BATCH
    context = tf.distribute.InputContext()
    parts = train_batches.Parts(BATCH, steps, context)
    epochs = EpochReader(reader, order, SkippedRecords(0, 1), 2)
    before = _peak_kilobytes()
    drain(train_batches.read(epochs, parts, (0, 0), 2).prefetch(2))
    after = _peak_kilobytes()
    return 1024 * (after - before)


def _peak_kilobytes() -> int:
    # getrusage counts what the process had that started this one.
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1])


def first_batch(dataset: str, settings: dict[str, Any], step: int) -> None:
    """Reads a batch in mid-epoch."""
    batches = input_pipeline.make_train_dataset(
        dataset,
        DataConfig(**settings),
        classes=10,
        batch_size=MANY_BATCH,
        epochs=1,
        first_step=step,
    )
    next(iter(batches))
