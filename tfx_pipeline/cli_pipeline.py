"""The command `tagforest pipeline`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from beam_jobs.cli_options import takes_options
from tfx_pipeline import names
from tfx_pipeline.run_options import RunOptions, find_inputs

if TYPE_CHECKING:
    from tfx_pipeline.report import Result


@takes_options
def pipeline(options: RunOptions) -> None:
    """Run the TFX pipeline: data, checks, training, blessing, push.

    A second run reuses every step whose inputs have not changed, and
    measures a new model against the last blessed one.
    """
    find_inputs(options)
    typer.echo("Loading TFX ...")
    from tfx_pipeline.local_runner import run

    typer.echo(describe(run(options, typer.echo), options))


def describe(result: Result, options: RunOptions) -> str:
    """Returns what came out and what to do next, for the terminal."""
    lines = []
    if result.anomalies:
        lines.append(f"Anomalies in the data: {', '.join(result.anomalies)}")
    if result.blessed:
        lines += [
            f"Blessed and pushed to {_shown(result.pushed_to or '')}",
            f"next: tagforest serve {_shown(options.model_dir)}",
        ]
    else:
        lines += [
            f"Not blessed, so not pushed: {_shortfall(result, options)}",
            "next: train longer, for example with --set schedule.epochs=20",
        ]
    return "\n".join(lines)


def _shown(path: str | os.PathLike[str]) -> str:
    """Returns the path, shorter if it lies below the working folder."""
    shown = os.path.relpath(path)
    return os.fspath(path) if shown.startswith(os.pardir) else shown


def _shortfall(result: Result, options: RunOptions) -> str:
    score = f"F1@{names.F1_K} {result.f1:.3f}"
    if result.f1 <= options.min_f1:
        return f"{score} is not above --min-f1 {options.min_f1}"
    return (
        f"{score} is more than --tolerance {options.tolerance} below the "
        f"last blessed model's {result.baseline_f1:.3f}"
    )
