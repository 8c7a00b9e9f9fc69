"""`tagforest tag`; heavy imports wait until it runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.errors import InputError
from serving import contract

if TYPE_CHECKING:
    from serving.prediction import Prediction


class Transport(str, Enum):
    """How `tagforest tag` talks to the server."""

    grpc = "grpc"
    rest = "rest"


class Format(str, Enum):
    """How `tagforest tag` prints."""

    table = "table"
    json = "json"


# More than any export answers.
_MOST_LABELS = 1_000_000


def register(app: typer.Typer) -> None:
    """Adds `tag` to the root command."""
    app.command("tag")(tag)


def tag(
    images: Annotated[list[Path], typer.Argument(help="Image files.")],
    server: Annotated[
        str | None, typer.Option(help="HOST:PORT; default: this machine.")
    ] = None,
    transport: Annotated[
        Transport, typer.Option(help="How to talk to the server.")
    ] = Transport.grpc,
    name: Annotated[
        str, typer.Option(help="Name of the model on the server.")
    ] = contract.MODEL_NAME,
    format: Annotated[
        Format, typer.Option(help="json: one object a line.")
    ] = Format.table,
    top: Annotated[int, typer.Option(min=1, help="Tags an image.")] = 5,
    leaves: Annotated[
        bool,
        typer.Option("--leaves", help="Only classes without subclasses."),
    ] = False,
    sure: Annotated[
        bool,
        typer.Option("--sure", help="Only what reaches its threshold."),
    ] = False,
    min_confidence: Annotated[
        float | None,
        typer.Option(help="Only from this score on, not the thresholds."),
    ] = None,
    most_specific: Annotated[
        bool,
        typer.Option(
            "--most-specific", help="No class above another tag; --sure."
        ),
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(help="WordNet id: it and what is below; repeatable."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="WordNet id: not it, nor what is below it."),
    ] = None,
) -> None:
    """Tag image files with a running server."""
    chosen = (sure, most_specific, include, exclude)
    options = None
    if any(chosen) or min_confidence is not None:
        from serving.tag_options import TagOptions

        options = TagOptions(
            max_labels=_MOST_LABELS if leaves else top,
            min_confidence=min_confidence,
            most_specific=most_specific,
            include=include or (),
            exclude=exclude or (),
        )
    data = [_read(path) for path in images]
    from serving.client.tag_client import (
        ClientOptions,
        ServerError,
        TagClient,
    )

    address = server or f"127.0.0.1:{_default_port(transport)}"
    try:
        with TagClient(
            address, transport.value, ClientOptions(model=name)
        ) as client:
            found = client.tag(data, options)
    except ServerError as error:
        raise InputError(
            f"the server at {address} gave no tags ({error}); is "
            "`tagforest serve` running there?"
        ) from error
    wanted = (p.leaves() for p in found) if leaves else found
    predictions = [p.top(top) for p in wanted]
    show = _print_json if format is Format.json else _print_table
    show(images, predictions)


def _default_port(transport: Transport) -> int:
    if transport is Transport.grpc:
        return contract.GRPC_PORT
    return contract.REST_PORT


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _print_json(
    images: Sequence[Path], predictions: Sequence[Prediction]
) -> None:
    for path, prediction in zip(images, predictions, strict=True):
        typer.echo(json.dumps({"image": str(path), **prediction.to_json()}))


def _print_table(
    images: Sequence[Path], predictions: Sequence[Prediction]
) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    # A path that was cut short could not be told from its neighbours.
    image = Column("image", overflow="fold")
    table = Table(image, "tag", "WordNet id", "score")
    for path, prediction in zip(images, predictions, strict=True):
        if not prediction.valid:
            table.add_row(str(path), "no image that can be tagged", "", "")
        for number, found in enumerate(prediction.tags):
            label = str(path) if number == 0 else ""
            score = f"{found.score:.3f}"
            table.add_row(label, found.name, found.wnid, score)
        table.add_section()
    Console().print(table)
