"""`tagforest serve`; heavy imports wait until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.errors import InputError
from serving import contract


def register(app: typer.Typer) -> None:
    """Adds `serve` to the root command."""
    app.command("serve")(serve)


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
