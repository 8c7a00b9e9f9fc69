"""The command `tagforest pipeline`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from beam_jobs.cli_options import takes_dataset_options
from tfx_pipeline import names

if TYPE_CHECKING:
    from tfx_pipeline.report import Result
    from tfx_pipeline.run_options import RunOptions

MinF1 = Annotated[float, typer.Option(help="F1@5 that a model must exceed.")]
Tolerance = Annotated[
    float, typer.Option(help="How far below the last blessed model it may be.")
]
ServingFolder = Annotated[
    Path | None,
    typer.Option(help="Where models are pushed. Default: ROOT/serving."),
]


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    app.command("pipeline")(pipeline)


@takes_dataset_options
def pipeline(
    given: dict[str, Any],
    root: Annotated[
        Path, typer.Option(help="Folder of artifacts and metadata.")
    ] = Path("pipeline_output"),
    config: Annotated[
        str, typer.Option(help="Training config: a name or a file.")
    ] = "demo",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE, on top of the config."),
    ] = None,
    min_f1: MinF1 = names.MIN_F1,
    tolerance: Tolerance = names.F1_TOLERANCE,
    serving_dir: ServingFolder = None,
    cache: Annotated[
        bool, typer.Option(help="Reuse steps whose inputs are unchanged.")
    ] = True,
) -> None:
    """Run the TFX pipeline: data, checks, training, blessing, push.

    A second run reuses every step whose inputs have not changed, and
    measures a new model against the last blessed one.
    """
    from tfx_pipeline.run_options import RunOptions, find_inputs

    options = RunOptions(
        root=str(root),
        dataset=given,
        config=config,
        overrides=changes or [],
        min_f1=min_f1,
        tolerance=tolerance,
        serving_dir=str(serving_dir) if serving_dir else None,
        enable_cache=cache,
    )
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
