"""`python -m tests.bench`: what the product costs above the bare work.

Every benchmark runs its arms in turn in one process, and draws its own data.
Ratios carry over from one machine to another; the figures beside them do not.
"""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .timing import Comparison

NAMES = (
    "dataset",
    "label_job",
    "labels",
    "hierarchy",
    "download",
    "input_pipeline",
    "loss",
    "train_step",
    "two_workers",
    "serving",
    "bulk",
)
FILE = "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks, shows a table and writes what was found."""
    options = parse(arguments)
    # Set before TensorFlow is imported, as the command line does.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    warnings.simplefilter("ignore")
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    found: list[Comparison] = []
    for name in options.only or NAMES:
        start = time.monotonic()
        print(f"{name} ...", file=sys.stderr, end=" ", flush=True)
        benchmark = importlib.import_module(f".{name}", __package__)
        with tempfile.TemporaryDirectory() as folder:
            found += benchmark.run(Path(folder))
        print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    Console().print(table(found))
    for row in found:
        details = ", ".join(f"{k} {v:,.4g}" for k, v in row.details.items())
        print(f"{row.name}: {details}")
    if options.out is not None:
        print(f"written: {write(found, options.out)}")
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns `only` (names, or None for all) and `out` (or None)."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument(
        "--only", action="append", choices=NAMES, help="run this one"
    )
    parser.add_argument(
        "--out", type=Path, help=f"folder that {FILE} is written to"
    )
    return parser.parse_args(arguments)


def table(found: Sequence[Comparison]) -> Table:
    """Returns the comparisons for the terminal."""
    columns = ("benchmark", "unit", "bare", "ours", "result", "range")
    shown = Table(*columns)
    for row in found:
        what, value = row.result
        shown.add_row(
            row.name,
            row.unit,
            f"{row.bare:,.1f}",
            f"{row.ours:,.1f}",
            f"{what} {value:.2f}",
            f"{row.lowest:.2f} to {row.highest:.2f}",
        )
    return shown


def write(found: Sequence[Comparison], folder: Path) -> Path:
    """Writes the comparisons and the machine they were made on."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": {
            "cores": os.cpu_count(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "load": list(os.getloadavg()),
        },
        "results": [asdict(row) for row in found],
    }
    path = folder / FILE
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
