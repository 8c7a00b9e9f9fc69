"""What it costs to read records: a worker's part, alone and among others.

`N workers` reads what worker 0 of N reads, undecoded, against one stream of
all records that is shuffled and thrown away but for that part, as it was
before: records a second of a worker's core. `two workers` are two processes,
each on a core of its own, against one on one core.

`first batch` is the time from the start of a process to the first decoded
batch of 4,096 in the middle of an epoch of 17.6 million records, against the
first of the epoch. The records are small (32 pixels) and the 4,297 shards are
links to one, so all lies in the page cache: what is measured are imports,
listing, index and order.

`met again` is arithmetic: how many pairs of a batch meet again in a batch of
the next epoch, against a full permutation by numpy; and how many classes a
batch has, where the classes of the records are drawn as 1 / rank.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from beam_jobs.dataset import dataset_folder, record_index
from beam_jobs.dataset.record_index import SplitIndex
from beam_jobs.dataset_job.write_shards import write_records
from model.config import DataConfig
from model.inputs import (
    epoch_reader,
    record_counts,
    record_order,
)
from tests.helpers.records import Record, to_example

from . import timing
from .reading_process import BATCH, MANY_BATCH, drain, open_reader, part

_TRAIN = dataset_folder.TRAIN
_RECORD_BYTES = 110_000
_SHARDS, _A_SHARD = 16, 512
_WORKERS = (1, 2, 8, 128)
_ROUNDS = 6
# Of the paper's data.
_MANY_SHARDS, _MANY_A_SHARD = 4297, 4096
_CLASSES, _SAMPLED = 11_166, 40


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Reads, in turns; see above."""
    rounds = 1 if short else _ROUNDS
    dataset = _write_large(folder / "large", 2 if short else _SHARDS)
    many = _write_many(folder / "many", 40 if short else _MANY_SHARDS)
    return [
        *_parts(dataset, rounds),
        _two_workers(dataset, rounds),
        *_memory(dataset),
        *_first_batches(many, 1 if short else _ROUNDS),
        *_met_again(100_000 if short else _MANY_SHARDS * _MANY_A_SHARD),
    ]


def _write_large(folder: Path, shards: int) -> Path:
    """Writes records of 110 KB without images."""
    data = np.random.default_rng(0).bytes(_RECORD_BYTES)
    for shard in range(shards):
        name = dataset_folder.shard_path(_TRAIN, shard, shards)
        rows = ((data, b"") for _ in range(_A_SHARD))
        write_records(os.fspath(folder / name), rows)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    return folder


def _write_many(folder: Path, shards: int) -> Path:
    """Writes a shard of small images, and links to it under other names."""
    content = io.BytesIO()
    Image.new("RGB", (32, 32), "red").save(content, "JPEG")
    data = to_example(Record("a/1", content.getvalue(), 32, 32))
    names = [
        dataset_folder.shard_path(_TRAIN, shard, shards)
        for shard in range(shards)
    ]
    first = os.fspath(folder / names[0])
    rows = ((data, b"") for _ in range(_MANY_A_SHARD))
    size, _ = write_records(first, rows)
    for name in names[1:]:
        path = os.fspath(folder / name)
        os.link(first, path)
        os.link(record_index.index_path(first), record_index.index_path(path))
    described = [
        {"path": name, "records": _MANY_A_SHARD, "bytes": size}
        for name in names
    ]
    splits = {_TRAIN: {"images": shards * _MANY_A_SHARD, "shards": described}}
    manifest = json.dumps({"splits": splits})
    (folder / dataset_folder.MANIFEST).write_text(manifest)
    return folder


def _stream(dataset: Path, workers: int) -> tf.data.Dataset:
    """Returns worker 0's part of a stream of all records."""
    share = BATCH // workers

    def is_mine(place, row):
        return place % BATCH // share == 0

    rows = tf.data.TFRecordDataset(dataset_folder.shard_paths(dataset, _TRAIN))
    rows = rows.shuffle(BATCH, seed=0).enumerate().filter(is_mine)
    return rows.batch(share).prefetch(2)


def _parts(dataset: Path, rounds: int) -> list[timing.Comparison]:
    """Compares worker 0's reading of its part."""
    count = len(record_counts.open_index(dataset))
    arms = {}
    for workers in _WORKERS:
        for arm, batches in (
            (timing.BARE, _stream(dataset, workers)),
            (timing.OURS, part(dataset, 0, workers)),
        ):
            work = partial(drain, batches)
            arms[arm, workers] = timing.repeated(work, count / workers, 1.0)
    took = timing.interleave(arms, rounds)
    found = []
    for workers in _WORKERS:
        pair = {a: took[a, workers] for a in (timing.BARE, timing.OURS)}
        details = {
            f"{arm} on the clock (records/s)": timing.rate(
                pair[arm], timing.WALL
            )
            for arm in pair
        }
        name = f"reading: {workers} workers"
        found.append(timing.compare_rates(name, "records", pair, details))
    return found


def _two_workers(dataset: Path, rounds: int) -> timing.Comparison:
    """Compares two workers with one, a core each."""
    count = len(record_counts.open_index(dataset))
    took: dict[str, list[timing.Took]] = {timing.BARE: [], timing.OURS: []}
    for arm, workers in ((timing.BARE, 1), (timing.OURS, 2)):
        found = _in_processes(
            [
                ("seconds_of_parts", str(dataset), w, workers, rounds)
                for w in range(workers)
            ],
            together=True,
        )
        # A round is over when the slower one is through.
        slowest = [max(seconds) for seconds in zip(*found, strict=True)]
        took[arm] = [timing.Took(count, s, s) for s in slowest]
    return timing.compare_rates(
        "reading: two workers on two cores", "records", took, by=timing.WALL
    )


_CALL = """
import json, sys
from tests.bench import reading_process
name, *arguments = json.loads(sys.argv[1])
print(json.dumps(getattr(reading_process, name)(*arguments)))
"""


def _in_processes(
    calls: Sequence[tuple[Any, ...]], *, together: bool = False
) -> list[Any]:
    """Calls functions of `reading_process` in new processes at the same time.

    Args:
        calls: name and arguments, as JSON can hold them.
        together: each says a line when it is ready, and goes on when all are.
    """
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _CALL, json.dumps(call)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for call in calls
    ]
    if together:
        lines = [process.stdout.readline() for process in started]
        for process in started if all(lines) else ():
            process.stdin.write("go\n")
            process.stdin.flush()
    # All are read before any is judged: none is left behind.
    said = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"{calls} failed")
    return [json.loads(text.splitlines()[-1]) for text in said]


def _memory(dataset: Path) -> list[timing.Comparison]:
    """Compares the memory that reading takes with what is said of it."""
    found = []
    for mode in ("records", "blocks"):
        settings = {"reading": mode, "streams": 32, "shuffle_bytes": 100 << 20}
        reader, order = open_reader(dataset, DataConfig(**settings), BATCH)
        said = epoch_reader.bytes_held(reader, order, BATCH, workers=1)
        (taken,) = _in_processes([("peak", str(dataset), settings)])
        found.append(
            timing.Comparison(
                f"reading: memory, {mode}",
                "MB",
                timing.exact(said / 1e6),
                timing.exact(taken / 1e6),
                "ratio",
                timing.exact(taken / said),
                {"bare": "what is said", "ours": "growth of the process"},
            )
        )
    return found


def _first_batches(dataset: Path, rounds: int) -> list[timing.Comparison]:
    """Compares the time to the first batch in mid-epoch with the first."""
    index = record_counts.open_index(dataset)
    middle = len(index) // MANY_BATCH * 2 // 3
    # As many records in a block and a window as if each had 110 KB.
    scale = int(index.sizes.sum()) / len(index) / _RECORD_BYTES
    defaults = DataConfig()
    found = []
    for mode in ("records", "blocks"):
        settings = {
            "image_size": 32,
            "reading": mode,
            "block_bytes": int(defaults.block_bytes * scale),
            "shuffle_bytes": int(defaults.shuffle_bytes * scale),
        }
        seconds: dict[int, list[float]] = {0: [], middle: []}
        for _ in range(rounds):
            for step, times in seconds.items():
                start = time.perf_counter()
                _in_processes([("first_batch", str(dataset), settings, step)])
                times.append(time.perf_counter() - start)
        bare, ours = (
            [timing.Took(1, s, s) for s in t] for t in seconds.values()
        )
        found.append(
            timing.Comparison(
                f"reading: first batch, {mode}",
                "s",
                timing.seconds_each(bare),
                timing.seconds_each(ours),
                "times",
                timing.ratio(bare, ours),
                {"records": len(index), "step": middle},
            )
        )
    return found


def _met_again(count: int) -> list[timing.Comparison]:
    """Counts pairs that meet in batches of two epochs one after the other."""
    batch_size = min(MANY_BATCH, count // 100)
    size = dict.fromkeys(
        [f"{shard}" for shard in range(count // _MANY_A_SHARD)],
        _MANY_A_SHARD * _RECORD_BYTES,
    )
    index = SplitIndex(size, dict.fromkeys(size, _MANY_A_SHARD))
    orders = {
        mode: record_order.make_order(
            DataConfig(reading=mode), index, batch_size, seed=0
        )
        for mode in ("records", "blocks")
    }
    full = [np.random.default_rng(e).permutation(len(index)) for e in (0, 1)]
    bare, bare_classes = _pairs_and_classes(full, batch_size)
    found = []
    for mode, order in orders.items():
        epochs = [
            _whole_epoch(order, e, len(index), batch_size) for e in (0, 1)
        ]
        ours, classes = _pairs_and_classes(epochs, batch_size)
        found.append(
            timing.Comparison(
                f"reading: met again, {mode}",
                "pairs a batch",
                timing.exact(bare),
                timing.exact(ours),
                "ratio",
                timing.exact(ours / bare),
                {
                    "records": len(index),
                    "classes a batch, full permutation": bare_classes,
                    "classes a batch, ours": classes,
                },
            )
        )
    return found


def _whole_epoch(order, epoch: int, count: int, batch_size: int) -> np.ndarray:
    places = np.arange(count // batch_size * batch_size)
    parts = np.array_split(places, max(len(places) // 65536, 1))
    return np.concatenate([order.numbers(epoch, part) for part in parts])


def _pairs_and_classes(
    epochs: list[np.ndarray], batch_size: int
) -> tuple[float, str]:
    """Returns the pairs that meet again, and the classes a batch: means.

    Args:
        epochs: the records in the order of two epochs.
    """
    first, second = epochs
    batch_of = np.full(first.max() + 1, -1)
    batch_of = np.full(max(first.max(), second.max()) + 1, -1)
    batch_of[second] = np.arange(len(second)) // batch_size
    weights = 1 / np.arange(1, _CLASSES + 1)
    classes = np.random.default_rng(2).choice(
        _CLASSES, len(batch_of), p=weights / weights.sum()
    )
    pairs, counts = [], []
    for batch in np.array_split(first, len(first) // batch_size)[
        :: len(first) // batch_size // _SAMPLED
    ]:
        met = np.unique(batch_of[batch], return_counts=True)
        together = met[1][met[0] >= 0]
        pairs.append(int((together * (together - 1)).sum()) // 2)
        counts.append(len(np.unique(classes[batch])))
    spread = statistics.stdev(counts)
    return statistics.mean(
        pairs
    ), f"{statistics.mean(counts):.0f} +- {spread:.0f}"
