"""The command `tagforest lineage`."""

from __future__ import annotations

from typing import Annotated

import typer

from beam_jobs.errors import InputError
from tfx_pipeline import state


def lineage(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A pushed version, a model's folder, or the first digits of "
            "its weights' fingerprint."
        ),
    ] = None,
    root: Annotated[
        str, typer.Option(help="Folder of a pipeline.")
    ] = "pipeline_output",
    data: Annotated[
        str | None,
        typer.Option(help="Fingerprint of a data set: all models that saw it."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Say so as JSON.")] = (
        False
    ),
    picture: Annotated[
        str | None, typer.Option(help="PNG or SVG to draw it in.")
    ] = None,
) -> None:
    """Show where a model came from, or what became of a data set."""
    if (model is None) == (data is None):
        raise InputError("name a model, or a data set with --data: one of them")
    state.check_root(root)
    from tfx_pipeline import lineage as graph

    if model is not None:
        nodes = graph.trace(root, model)
    else:
        nodes = graph.models_of(root, data or "")
    typer.echo(graph.to_json(nodes) if json else graph.describe(nodes))
    if picture:
        graph.draw(nodes, picture)
        typer.echo(f"picture: {picture}", err=json)
