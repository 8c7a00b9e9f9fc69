"""`python -m tests.bench.one NAME OUT [short]`: one benchmark.

In a process of its own: memory, thread pools and caches that the one before
has left would be part of what is measured.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path


def main(name: str, out: str, *short: str) -> None:
    """Runs a benchmark and writes its comparisons as JSON."""
    warnings.simplefilter("ignore")
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    benchmark = importlib.import_module(f"tests.bench.{name}")
    with tempfile.TemporaryDirectory() as folder:
        found = benchmark.run(Path(folder), short=bool(short))
    rows = [row.to_json() for row in found]
    Path(out).write_text(json.dumps(rows), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
