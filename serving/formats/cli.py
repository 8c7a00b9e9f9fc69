"""`tagforest export`; heavy imports wait until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.errors import InputError
from serving.formats.kinds import SAVED_MODEL
from serving.formats.options import FormatOptions
from serving.saved_model.reference_options import ReferenceOptions

_TOP_K = 20


@takes_options
def export(
    workdir: Annotated[
        Path, typer.Argument(help="Folder that `tagforest train` wrote.")
    ],
    out: Annotated[
        Path, typer.Option(help="Base folder; the version goes below it.")
    ],
    reference: ReferenceOptions,
    other: FormatOptions,
    top_k: Annotated[int, typer.Option(min=1, help="Tags an image.")] = _TOP_K,
    version: Annotated[
        int | None,
        typer.Option(min=1, help="Default: the highest there plus one."),
    ] = None,
) -> None:
    """Write a SavedModel that takes image bytes, ready to be served.

    With --format: a file for other programs, of pixels to probabilities, once
    its answers were compared with TensorFlow's; status 4 if they differ.
    """
    if not workdir.is_dir():
        raise InputError(f"no such folder: {workdir}")
    if other.format != SAVED_MODEL:
        served = (reference, top_k, version)
        if served != (ReferenceOptions(), _TOP_K, None):
            raise InputError(
                "--top-k, --version and --reference are of --format "
                f"savedmodel; received: --format {other.format}"
            )
        _export_format(workdir, out, other)
        return
    from serving.saved_model.export import export as export_workdir

    path = export_workdir(
        workdir, out, top_k=top_k, version=version, reference=reference
    )
    typer.echo(f"exported: {path}")
    typer.echo(f"next: tagforest serve {out}")


def _export_format(workdir: Path, out: Path, options: FormatOptions) -> None:
    from serving.formats.checks import check

    check(workdir, out, options)
    from serving.formats.export_format import export as export_format

    typer.echo(export_format(workdir, out, options))
    typer.echo(f"exported: {out}")
