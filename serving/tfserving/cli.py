"""The commands that prepare a model for TensorFlow Serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.version_folders import check_base
from serving.tfserving.options import (
    AdminOptions,
    LabelTarget,
    TfServingSetup,
)

if TYPE_CHECKING:
    from serving.tfserving.model_admin import ModelAdmin


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
    check_base(model_dir)
    from serving.tfserving import check_setup

    problems = check_setup.check_own_batching(model_dir)
    sizes: tuple[int, ...] = contract.BATCH_SIZES
    versions: list[int] = []
    if setup:
        problems += check_setup.check_setup(setup, name, model_dir)
        if not problems:
            sizes = check_setup.read_batch_sizes(
                setup / check_setup.BATCHING_CONFIG
            )
            versions = check_setup.named_versions(setup, name, model_dir)
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


@takes_options
def tfserving(
    setup: TfServingSetup,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
) -> None:
    """Write the files that run a model under TensorFlow Serving."""
    from serving.tfserving.setup import write_setup

    for path in write_setup(out, setup):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: docker compose -f {out / 'compose.yaml'} up")


@takes_options
def promote(
    version: Annotated[int, typer.Option(min=0, help="Where the label goes.")],
    target: LabelTarget,
    options: AdminOptions,
) -> None:
    """Move a version label of a running server to another version.

    Loads the version, waits until it answers, then moves the label. Works
    with TensorFlow Serving and with `tagforest serve`.
    """
    from serving.tfserving import labels

    with _admin(options) as admin:
        labels.promote(admin, target, version, typer.echo)
    typer.echo(
        f"to go back: tagforest rollback {options.server} --label "
        f"{target.label} --name {target.model} --config {target.config}"
    )


@takes_options
def rollback(target: LabelTarget, options: AdminOptions) -> None:
    """Move a version label back to before its last promotion."""
    from serving.tfserving import labels

    with _admin(options) as admin:
        labels.rollback(admin, target, typer.echo)
    typer.echo(
        f"next: tagforest tag IMAGE --server {options.server} "
        f"--name {target.model}"
    )


@contextmanager
def _admin(options: AdminOptions) -> Iterator[ModelAdmin]:
    from serving.client.client_options import parse_server

    is_tls = options.tls is not None
    _, address = parse_server(options.server, "grpc", is_tls)
    from serving.tfserving.model_admin import ModelAdmin

    with ModelAdmin(address, options.tls, options.timeout_s) as admin:
        yield admin
