"""The commands `tagforest pipeline` and those below it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from beam_jobs.cli_options import takes_options
from tfx_pipeline import state
from tfx_pipeline.find_inputs import find_inputs, inputs_to_compile
from tfx_pipeline.outcomes import ModelRefusedError
from tfx_pipeline.run_options import KUBEFLOW, RunOptions

pipeline = typer.Typer(name="pipeline", invoke_without_command=True)

_ROOT = Annotated[str, typer.Option(help="Folder of a pipeline.")]


@pipeline.callback()
@takes_options
def run(context: typer.Context, options: RunOptions) -> None:
    """Run the TFX pipeline: data, gates, training, blessing, push.

    A second run reuses every step whose inputs have not changed, and
    measures a new model against the last blessed one. Exit status: 0 pushed,
    1 a component failed, 2 wrong input, 3 the data was refused, 4 the model.
    """
    if context.invoked_subcommand:
        return
    if options.runner == KUBEFLOW:
        _compile(options)
        return
    inputs = find_inputs(options)
    done = finished(options, inputs.key)
    if done is None:
        typer.echo("Loading TFX ...")
        from dataclasses import asdict

        from tfx_pipeline.local_runner import run as run_pipeline

        result = run_pipeline(options, typer.echo)
        if result is None:
            typer.echo(f"Ended after {options.to_component}, as asked.")
            return
        done = asdict(result)
    else:
        typer.echo("Nothing has changed since the last run.")
    typer.echo(describe(done, options))
    if not done["blessed"]:
        raise ModelRefusedError("the model is refused, nothing was pushed")


def _compile(options: RunOptions) -> None:
    inputs = inputs_to_compile(options)
    from tfx_pipeline.kubeflow_runner import compile_spec
    from tfx_pipeline.local_runner import pipeline_options

    parts = pipeline_options(options, inputs)
    compile_spec(parts, options.image or "", options.spec, options.resources)
    typer.echo(f"written: {_shown(options.spec)}")
    typer.echo(
        "next: submit it, each run with a value of its own for the parameter "
        "data, as the time"
    )


def finished(options: RunOptions, key: str) -> dict[str, Any] | None:
    """Returns the result of the last run, if nothing has changed since."""
    last = state.read_json(options.folder, state.LAST_RUN)
    if not options.enable_cache or options.is_partial:
        return None
    if not last or last["key"] != key:
        return None
    pushed = last["pushed_to"]
    return last if not pushed or os.path.isdir(pushed) else None


@pipeline.command()
def prune(
    root: _ROOT = "pipeline_output",
    keep: Annotated[
        int,
        typer.Option(min=1, help="Runs, blessed models, trainings that stay."),
    ] = 3,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go.")
    ] = False,
) -> None:
    """Delete artifacts and trainings that no kept run or model needs."""
    state.check_root(root)
    from tfx_pipeline.prune import prune as prune_root

    found = prune_root(root, keep, dry_run=dry_run)
    verb = "would delete" if dry_run else "deleted"
    for path in found.paths:
        typer.echo(f"{verb} {_shown(path)}")
    typer.echo(f"{verb} {len(found.paths)} folders, {found.bytes / 1e6:.1f} MB")


def describe(result: Mapping[str, Any], options: RunOptions) -> str:
    """Returns what came out and what to do next, for the terminal."""
    lines = []
    if result["not_calibrated"]:
        lines.append(f"Not calibrated: {result['not_calibrated']}")
    if result["blessed"]:
        where = _shown(result["pushed_to"])
        verb = "pushed to" if result["is_new"] else "there already:"
        lines += [
            f"Blessed and {verb} {where}",
            f"next: tagforest serve {_shown(options.model_dir)}",
        ]
    else:
        lines += [f"Not blessed: {reason}" for reason in result["reasons"]]
        report = os.path.join(options.root, "reports", "model_gate.json")
        lines.append(f"all figures: {_shown(report)}")
    return "\n".join(lines)


def _shown(path: str | os.PathLike[str]) -> str:
    """Returns the path, shorter if it lies below the working folder."""
    shown = os.path.relpath(path)
    return os.fspath(path) if shown.startswith(os.pardir) else shown
