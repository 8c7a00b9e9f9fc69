"""The data set job without images, on rows as Tencent ML-Images lists them.

The rows are drawn: URLs with 1 to 3 of the 11,166 published classes and most
of their ancestors. `bare` is one script without Beam that closes the labels
with dictionaries and writes a record a row; ours also keeps the ledger, splits
and shards. Its rate is that between a short and a long list, in a process that
has built both before, so that the start, 4 s of CPU time, is no part of it.

LABEL_JOB_ROWS sets other sizes, LABEL_JOB_WORKERS=2 measures two processes too
(a start of 54 s of CPU time): LABEL_JOB_ROWS=50000,2000000.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.load_classes import load_published
from beam_jobs.cli_options import build_options
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.labels.ledger import Rule, Source
from tests.helpers.records import Label, Record, to_example
from tests.helpers.shared_data import TENCENT_DICTIONARY

from . import timing

_SIZES, _SHORT_SIZES = "10000,100000", "500,1000"
_ROUNDS = 9
_PAPER_ROWS = 17_609_752
_ROWS_A_BLOCK = 50_000
_MOST_CLASSES = 3
# The published sample lacks a quarter of the ancestors.
_ANCESTORS_LISTED = 0.75
_CONFIDENCES = ("0.8", "0.9", "1", "1.0")
_LEAST = 0.7


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Labels a short and a long list by both ways."""
    if not TENCENT_DICTIONARY.is_file():
        print(f"{TENCENT_DICTIONARY} is absent", file=sys.stderr)
        return []
    text = os.environ.get("LABEL_JOB_ROWS", _SIZES)
    few, many = map(int, (_SHORT_SIZES if short else text).split(","))
    lists = {rows: folder / f"{rows}.txt" for rows in (few, many)}
    for rows, path in lists.items():
        write_list(path, rows)
    workers = {timing.OURS: 1}
    if count := int(os.environ.get("LABEL_JOB_WORKERS", "0")):
        workers[f"{count} processes"] = count
    script = partial(_script, lists[few], folder / "bare.tfrecord")
    arms: dict[Any, timing.Arm] = {timing.BARE: timing.timed(script, few)}
    for name, count in workers.items():
        for rows, path in lists.items():
            build = partial(_build, path, folder / "out", count)
            arms[name, rows] = timing.timed(build, rows)
    took = timing.interleave(arms, 1 if short else _ROUNDS)
    rows = [
        _compare(name, took[timing.BARE], took[name, few], took[name, many])
        for name in workers
    ]
    # Linux counts KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows[0].details.update({"rows": many, "peak MB": peak})
    return rows


def write_list(path: Path, rows: int) -> None:
    """Writes a list; the first rows of a longer one are the same."""
    _, hierarchy = load_published(TENCENT_DICTIONARY)
    above = [(i, *hierarchy.ancestors(i)) for i in range(len(hierarchy))]
    with open(path, "w", encoding="utf-8") as file:
        for block, start in enumerate(range(0, rows, _ROWS_A_BLOCK)):
            rng = np.random.default_rng(block)
            count = min(_ROWS_A_BLOCK, rows - start)
            lines = _lines(start, count, above, rng)
            file.writelines(lines)


def _lines(start: int, count: int, above, rng) -> list[str]:
    chosen = rng.integers(0, len(above), (_ROWS_A_BLOCK, _MOST_CLASSES))
    tags = rng.integers(1, _MOST_CLASSES + 1, _ROWS_A_BLOCK)
    sure = rng.integers(0, len(_CONFIDENCES), _ROWS_A_BLOCK)
    names = rng.integers(0, 1 << 40, _ROWS_A_BLOCK)
    listed = rng.random((_ROWS_A_BLOCK, 32)) < _ANCESTORS_LISTED
    lines = []
    for i in range(count):
        classes = {}
        for of_class in chosen[i, : tags[i]].tolist():
            own, *others = above[of_class]
            classes[own] = None
            keep = listed[i].tolist()
            classes.update(
                (c, None) for c, k in zip(others, keep, strict=False) if k
            )
        confidence = _CONFIDENCES[sure[i]]
        number = start + i
        lines.append(
            f"https://farm{number % 9}.staticflickr.com/{number % 8000}/"
            f"{number:010d}_{names[i]:010x}_o.jpg\t"
            + "\t".join(f"{c}:{confidence}" for c in classes)
            + "\n"
        )
    return lines


def _build(path: Path, out: Path, workers: int) -> None:
    shutil.rmtree(out, ignore_errors=True)
    given = {
        "tencent_lists": [str(path)],
        "vocabulary": str(TENCENT_DICTIONARY),
        "labels_only": True,
        "out": str(out),
    }
    beam_args = ["--direct_num_workers", str(workers)]
    if workers > 1:
        beam_args += ["--direct_running_mode", "multi_processing"]
    manifest = build_dataset(
        build_options(DatasetOptions, given), beam_args, show_progress=False
    )
    if manifest.images["rejected"]:
        raise RuntimeError(f"sound rows were rejected: {manifest.rejected}")


def _script(path: Path, target: Path) -> None:
    import tensorflow as tf

    _, hierarchy = load_published(TENCENT_DICTIONARY)
    above = [(i, *hierarchy.ancestors(i)) for i in range(len(hierarchy))]
    with tf.io.TFRecordWriter(str(target)) as writer, path.open() as file:
        for line in file:
            url, *tokens = line.rstrip().split("\t")
            writer.write(_record(url, tokens, above))


def _record(url: str, tokens: list[str], above) -> bytes:
    found: dict[int, float] = {}
    for token in tokens:
        index, text = token.split(":")
        confidence = float(text)
        if confidence >= _LEAST:
            for of_class in above[int(index)]:
                found[of_class] = max(found.get(of_class, 0.0), confidence)
    labels = [
        Label(index, sure, Rule.ANNOTATED, index, Source.IMAGENET)
        for index, sure in sorted(found.items())
    ]
    return to_example(Record(url, b"", 0, 0, labels))


def _compare(name: str, bare, few, many) -> timing.Comparison:
    between = [large - small for small, large in zip(few, many, strict=True)]
    on_clock = [took.wall for took in between]
    minutes = [t.wall / t.count * _PAPER_ROWS / 60 for t in between]
    return timing.compare_rates(
        "label_job" if name == timing.OURS else f"label_job, {name}",
        "rows",
        {timing.BARE: bare, timing.OURS: between},
        {
            "ours on the clock (rows/s)": timing.rate(between, timing.WALL),
            "minutes for the paper's images": timing.figure(minutes, on_clock),
        },
    )
