"""`tagforest export`; heavy imports wait until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.errors import InputError


def export(
    workdir: Annotated[
        Path, typer.Argument(help="Folder that `tagforest train` wrote.")
    ],
    out: Annotated[
        Path, typer.Option(help="Base folder; the version goes below it.")
    ],
    top_k: Annotated[int, typer.Option(min=1, help="Tags an image.")] = 20,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Default: the highest there plus one."),
    ] = None,
) -> None:
    """Write a SavedModel that tags image bytes, ready to be served."""
    if not workdir.is_dir():
        raise InputError(f"no such folder: {workdir}")
    from serving.saved_model.export import export as export_workdir

    path = export_workdir(workdir, out, top_k=top_k, version=version)
    typer.echo(f"exported: {path}")
    typer.echo(f"next: tagforest serve {out}")
