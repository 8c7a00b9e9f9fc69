"""The data set job without images, on rows as Tencent ML-Images lists them.

The rows are drawn: URLs with 1 to 3 of the 11,166 published classes and most
of their ancestors. Every size runs in a process of its own, which tells its
peak memory. `bare` is the job in one process, `ours` in two; the result is
the line through all sizes, extended to the 17.6 million images of the paper.

LABEL_JOB_ROWS sets other sizes: LABEL_JOB_ROWS=250000,500000,1000000,2000000.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from beam_jobs.classes.load_classes import load_published

from . import timing

_PUBLISHED = (
    Path(__file__)
    .parents[3]
    .joinpath(
        "shared/data/tencent_ml_images/dictionary_and_semantic_hierarchy.txt"
    )
)
_SIZES = "100000,200000"
_PAPER_ROWS = 17_609_752
_ROWS_A_BLOCK = 50_000
_MOST_CLASSES = 3
# The published sample lacks a quarter of the ancestors.
_ANCESTORS_LISTED = 0.75
_CONFIDENCES = ("0.8", "0.9", "1", "1.0")
_MODES = {
    timing.BARE: (),
    timing.OURS: (
        *("--direct_num_workers", "2"),
        *("--direct_running_mode", "multi_processing"),
    ),
}


def run(folder: Path) -> list[timing.Comparison]:
    """Labels lists of all sizes, with one process and with two."""
    if not _PUBLISHED.is_file():
        print(f"{_PUBLISHED} is absent", file=sys.stderr)
        return []
    sizes = [
        int(size)
        for size in os.environ.get("LABEL_JOB_ROWS", _SIZES).split(",")
    ]
    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in _MODES}
    for rows in sizes:
        path = folder / f"{rows}.txt"
        write_list(path, rows)
        for mode in _MODES:
            found[mode].append(_in_process(path, folder / "out", mode))
        path.unlink()
    return [_compare(sizes, found)]


def write_list(path: Path, rows: int) -> None:
    """Writes a list; the first rows of a longer one are the same."""
    _, hierarchy = load_published(_PUBLISHED)
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


def _in_process(path: Path, out: Path, mode: str) -> dict[str, float]:
    """Returns rows, seconds, bytes of labels a row, and peak memory in MB."""
    command = [sys.executable, "-m", __name__, str(path), str(out), mode]
    process = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(process.stdout.splitlines()[-1])


def measure(path: str, out: str, mode: str) -> dict[str, float]:
    """Builds the data set of one list in this process."""
    from beam_jobs.cli_options import build_options
    from beam_jobs.dataset_job.build_dataset import build_dataset
    from beam_jobs.dataset_job.options import DatasetOptions

    shutil.rmtree(out, ignore_errors=True)
    given = {
        "tencent_lists": [path],
        "vocabulary": str(_PUBLISHED),
        "labels_only": True,
    }
    start = time.perf_counter()
    manifest = build_dataset(
        build_options(DatasetOptions, {**given, "out": out}),
        _MODES[mode],
        show_progress=False,
    )
    seconds = time.perf_counter() - start
    rows = manifest.images["out"]
    if manifest.images["rejected"]:
        raise RuntimeError(f"sound rows were rejected: {manifest.rejected}")
    shutil.rmtree(out)
    label_bytes = sum(s["label_bytes"] for s in manifest.splits.values())
    return {
        "rows": rows,
        "seconds": seconds,
        "label bytes": label_bytes / rows,
        "main MB": _peak(resource.RUSAGE_SELF),
        "worker MB": _peak(resource.RUSAGE_CHILDREN),
    }


def _peak(who: int) -> float:
    # Linux counts KiB.
    return resource.getrusage(who).ru_maxrss / 1024


def _compare(sizes: list[int], found) -> timing.Comparison:
    details: dict[str, float] = {"load": os.getloadavg()[0]}
    minutes, rates = {}, {}
    for mode, name in (
        (timing.BARE, "1 process"),
        (timing.OURS, "2 processes"),
    ):
        seconds = [one["seconds"] for one in found[mode]]
        each, start_up = np.polyfit(sizes, seconds, 1)
        rates[mode] = 1 / each
        minutes[mode] = (start_up + each * _PAPER_ROWS) / 60
        details[f"{name}: start-up (s)"] = start_up
        details[f"{name}: minutes for the paper's images"] = minutes[mode]
        for rows, one in zip(sizes, found[mode], strict=True):
            what = f"{name}, {rows / 1e6:g} M rows"
            details[f"{what} (s)"] = one["seconds"]
            details[f"{what} (µs a row)"] = one["seconds"] / rows * 1e6
            details[f"{what}, main (MB)"] = one["main MB"]
            details[f"{what}, largest worker (MB)"] = one["worker MB"]
    details["label bytes a record"] = found[timing.BARE][-1]["label bytes"]
    return timing.Comparison(
        "label_job",
        "rows/s",
        rates[timing.BARE],
        rates[timing.OURS],
        ("minutes", minutes[timing.OURS]),
        min(minutes.values()),
        max(minutes.values()),
        details,
    )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(json.dumps(measure(*sys.argv[1:])))
