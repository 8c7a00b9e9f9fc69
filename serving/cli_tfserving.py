"""The commands that prepare a model for TensorFlow Serving."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.errors import InputError
from serving import contract
from serving.version_policy import parse_labels


def register(app: typer.Typer) -> None:
    """Adds `doctor` and `tfserving` to the root command."""
    app.command("doctor")(doctor)
    app.command("tfserving")(tfserving)


def doctor(
    model_dir: Annotated[
        Path, typer.Argument(help="Base folder with numbered versions.")
    ],
    setup: Annotated[
        Path | None,
        typer.Option(help="Folder that `tagforest tfserving` wrote."),
    ] = None,
    name: Annotated[
        str, typer.Option(help="Name of the model in the setup.")
    ] = contract.MODEL_NAME,
) -> None:
    """Find what keeps a model's highest version from being served.

    With --setup, its files and all versions that it names. Ends with status 1
    if something does.
    """
    for folder in filter(None, (model_dir, setup)):
        if not folder.is_dir():
            raise InputError(f"no such folder: {folder}")
    from serving.tfserving import checks

    problems = checks.check_own_batching(model_dir)
    sizes: tuple[int, ...] = contract.BATCH_SIZES
    versions: list[int] = []
    if setup:
        problems += checks.check_setup(setup, name, model_dir)
        if not problems:
            sizes = checks.read_batch_sizes(setup / checks.BATCHING_CONFIG)
            versions = checks.named_versions(setup, name, model_dir)
    from serving.saved_model.doctor import examine

    found = examine(model_dir, sizes, versions)
    for problem in problems:
        typer.echo(f"error: {problem}")
        typer.echo("  cure: mend it; `tagforest tfserving` writes sound files")
    for finding in found:
        kind = "error" if finding.is_error else "note"
        typer.echo(f"{kind}: {finding.where}: {finding.what}")
        typer.echo(f"  cure: {finding.cure}")
    if problems or any(finding.is_error for finding in found):
        raise typer.Exit(1)
    typer.echo(f"{model_dir} can be served")
    typer.echo(f"next: tagforest tfserving --model-dir {model_dir} --out DIR")


def tfserving(
    model_dir: Annotated[
        Path, typer.Option(help="Base folder with numbered versions.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    name: Annotated[
        str, typer.Option(help="Name of the model in requests.")
    ] = contract.MODEL_NAME,
    label: Annotated[
        list[str] | None,
        typer.Option(help="LABEL=VERSION, as stable=1; repeatable."),
    ] = None,
    batch_timeout_us: Annotated[
        int, typer.Option(help="How long a batch waits for company.")
    ] = 2000,
    max_queued_batches: Annotated[
        int, typer.Option(help="Beyond them requests are refused.")
    ] = 64,
) -> None:
    """Write the files that run a model under TensorFlow Serving."""
    from serving.tfserving.setup import TfServingSetup, write_setup

    setup = TfServingSetup(
        model_dir=model_dir,
        name=name,
        labels=parse_labels(label or ()),
        batch_timeout_us=batch_timeout_us,
        max_queued_batches=max_queued_batches,
    )
    for path in write_setup(out, setup):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: docker compose -f {out / 'compose.yaml'} up")
