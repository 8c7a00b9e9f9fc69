"""`python -m tests.bench`: what the product costs above the bare work.

Every benchmark runs its arms in turn, draws its own data and has a process of
its own. Ratios carry over from one machine to another; the figures beside them
do not. What cannot be trusted (`timing.judge`) is not printed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from . import machine
from .benchmarks import BENCHMARKS, environment
from .timing import Comparison, shown

FILE = "bench.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks, shows a table and writes what was found."""
    options = parse(arguments)
    names = options.only or list(BENCHMARKS)
    about = machine.describe()
    for line in (*machine.lines(about), *announce(names, options.short)):
        print(line, flush=True)
    found: dict[str, list[Comparison]] = {}
    failed, shares = [], {}
    for name in names:
        start, others = time.monotonic(), machine.Others()
        print(f"{name} ...", file=sys.stderr, end=" ", flush=True)
        rows = run_one(name, options.short)
        shares[name] = others.share()
        taken = duration(time.monotonic() - start)
        print(f"{taken}{busy(shares[name])}", file=sys.stderr, flush=True)
        if rows is None:
            failed.append(name)
        else:
            found[name] = rows
    show([row for rows in found.values() for row in rows])
    if options.out is not None:
        print(f"written: {write(about, shares, found, options.out)}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Returns `only` (names, or None for all), `short` and `out`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument(
        "--only",
        action="extend",
        type=names_of,
        metavar="NAME,...",
        help=f"run these: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument(
        "--short",
        action="store_true",
        help="small sizes and few rounds: whether it runs, not how fast",
    )
    parser.add_argument(
        "--out", type=Path, help=f"folder that {FILE} is written to"
    )
    return parser.parse_args(arguments)


def names_of(text: str) -> list[str]:
    """Splits names at commas.

    Raises:
        ArgumentTypeError: one that no benchmark has.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in BENCHMARKS:
            raise argparse.ArgumentTypeError(
                f"must be of {', '.join(BENCHMARKS)}; received: {name!r}"
            )
    return names


def announce(names: Sequence[str], short: bool) -> list[str]:
    """Says what will run and for how long."""
    if short:
        return [f"short forms of {len(names)} benchmarks"]
    whole = sum(BENCHMARKS[name].seconds for name in names)
    return [
        f"{len(names)} benchmarks, about {duration(whole)} on 2 quiet cores:",
        *(
            f"  {name:15} {duration(BENCHMARKS[name].seconds):>10}  "
            f"{BENCHMARKS[name].about}"
            for name in names
        ),
    ]


def run_one(name: str, short: bool) -> list[Comparison] | None:
    """Runs a benchmark in a process of its own; None if it failed."""
    chosen = environment(BENCHMARKS[name], machine.cores())
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.one", name, str(out)]
            + ["short"] * short,
            env={**os.environ, **chosen},
        )
        if done.returncode:
            return None
        rows = json.loads(out.read_text(encoding="utf-8"))
    return [Comparison.from_json(row) for row in rows]


def show(found: Sequence[Comparison]) -> None:
    """Prints a table, further figures, and what is not in it."""
    Console(width=max(100, Console().width)).print(table(found))
    for row in found:
        if row.details:
            details = (f"{k} {_shown(v)}" for k, v in row.details.items())
            print(f"{row.name}: {'; '.join(details)}")
    results = [row.result for row in found]
    refused = sum(bool(figure.refusal) for figure in results)
    print(f"{len(results) - refused} of {len(results)} results measured")


def table(found: Sequence[Comparison]) -> Table:
    """Returns the comparisons for the terminal."""
    columns = ("benchmark", "unit", "bare", "ours", "result", "95 %")
    lines = Table(*columns)
    for row in found:
        result, within = row.result, ""
        if not result.refusal:
            within = f"{shown(result.low)} to {shown(result.high)}"
        text = result.refusal or f"{row.what} {result}"
        lines.add_row(
            row.name, row.unit, str(row.bare), str(row.ours), text, within
        )
    return lines


def _shown(detail: Any) -> str:
    return shown(detail) if isinstance(detail, float) else str(detail)


def duration(seconds: float) -> str:
    """Returns minutes and seconds: 2 min 05 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def busy(share: float) -> str:
    """Says that others took more than a quiet machine lets them."""
    if share <= machine.QUIET_SHARE:
        return ""
    return f" (others took {share:.0%} of the cores)"


def write(
    about: Mapping[str, Any],
    shares: Mapping[str, float],
    found: Mapping[str, Sequence[Comparison]],
    folder: Path,
) -> Path:
    """Writes the comparisons and the machine they were made on."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": about,
        "taken by others": shares,
        "results": {
            name: [row.to_json() for row in rows]
            for name, rows in found.items()
        },
    }
    path = folder / FILE
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
