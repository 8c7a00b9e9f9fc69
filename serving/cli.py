"""The commands of this package; heavy imports wait until one runs."""

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
    """Adds `export`, `serve` and `tag` to the root command."""
    app.command("export")(export)
    app.command("serve")(serve)
    app.command("tag")(tag)


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


def serve(
    model_dir: Annotated[
        Path, typer.Argument(help="Base folder with numbered versions.")
    ],
    name: Annotated[
        str, typer.Option(help="Name of the model in requests.")
    ] = contract.MODEL_NAME,
    host: Annotated[
        str, typer.Option(help="Address to listen on.")
    ] = "127.0.0.1",
    grpc_port: Annotated[
        int, typer.Option(help="0 takes a free one.")
    ] = contract.GRPC_PORT,
    rest_port: Annotated[
        int, typer.Option(help="0 takes a free one.")
    ] = contract.REST_PORT,
    versions: Annotated[
        str,
        typer.Option(help="latest, latest:N, all, or numbers as 1,3."),
    ] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(help="LABEL=VERSION, as stable=1; repeatable."),
    ] = None,
) -> None:
    """Serve a model over gRPC and REST until interrupted.

    With labels and no --versions, the labelled ones are served.
    """
    from serving.server.sockets import bind
    from serving.version_policy import VersionPolicy, parse_labels

    labels = parse_labels(label or ())
    chosen = ",".join(map(str, labels.values())) or "latest"
    policy = VersionPolicy.parse(versions or chosen)

    # TensorFlow takes seconds to import; say at once if a port is taken.
    bind(host, grpc_port, "gRPC").close()
    bind(host, rest_port, "REST").close()
    if not model_dir.is_dir():
        raise InputError(
            f"no such folder: {model_dir}; `tagforest export` makes one"
        )
    from serving.server.local_server import ServerOptions
    from serving.server.local_server import serve as serve_model

    options = ServerOptions(
        name=name,
        host=host,
        grpc_port=grpc_port,
        rest_port=rest_port,
        policy=policy,
        labels=labels,
    )
    serve_model(model_dir, options, on_ready=_print_ready)


def _print_ready(server) -> None:
    served = ", ".join(str(s.version) for s in server.versions.states())
    typer.echo(f"serving {server.name}, version {served}")
    typer.echo(f"  gRPC  {server.grpc_address}")
    typer.echo(f"  REST  http://{server.rest_address}/v1/models/{server.name}")
    typer.echo(f"try: tagforest tag IMAGE --server {server.grpc_address}")


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
    from serving.client.tag_client import ServerError, TagClient

    address = server or f"127.0.0.1:{_default_port(transport)}"
    try:
        with TagClient(address, transport.value, model=name) as client:
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
