"""`tagforest promote` and `tagforest rollback`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serving import cli_options, contract

if TYPE_CHECKING:
    from serving.tfserving.model_admin import ModelAdmin

_Server = Annotated[str, typer.Argument(help="HOST:PORT of its gRPC.")]
_Label = Annotated[str, typer.Option(help="Which to move.")]
_Config = Annotated[
    Path, typer.Option(help="The server's models.config; it is rewritten.")
]
_Name = Annotated[str, typer.Option(help="Name of the model.")]
_Timeout = Annotated[
    float, typer.Option(help="Seconds that a version may take to load.")
]


def register(app: typer.Typer) -> None:
    """Adds `promote` and `rollback` to the root command."""
    app.command("promote")(promote)
    app.command("rollback")(rollback)


def promote(
    server: _Server,
    version: Annotated[int, typer.Option(min=0, help="Where the label goes.")],
    config: _Config,
    label: _Label = "stable",
    name: _Name = contract.MODEL_NAME,
    timeout_s: _Timeout = 300,
    tls_ca: cli_options.TlsCa = None,
    tls_cert: cli_options.TlsCert = None,
    tls_key: cli_options.TlsKey = None,
) -> None:
    """Move a version label of a running server to another version.

    Loads the version, waits until it answers, then moves the label. Works
    with TensorFlow Serving and with `tagforest serve`.
    """
    from serving.tfserving import labels

    target = labels.LabelTarget(config, label, name)
    with _admin(server, timeout_s, tls_ca, tls_cert, tls_key) as admin:
        labels.promote(admin, target, version, typer.echo)
    typer.echo(
        f"to go back: tagforest rollback {server} --label {label} "
        f"--name {name} --config {config}"
    )


def rollback(
    server: _Server,
    config: _Config,
    label: _Label = "stable",
    name: _Name = contract.MODEL_NAME,
    timeout_s: _Timeout = 300,
    tls_ca: cli_options.TlsCa = None,
    tls_cert: cli_options.TlsCert = None,
    tls_key: cli_options.TlsKey = None,
) -> None:
    """Move a version label back to before its last promotion."""
    from serving.tfserving import labels

    target = labels.LabelTarget(config, label, name)
    with _admin(server, timeout_s, tls_ca, tls_cert, tls_key) as admin:
        labels.rollback(admin, target, typer.echo)
    typer.echo(f"next: tagforest tag IMAGE --server {server} --name {name}")


@contextmanager
def _admin(
    server: str,
    timeout_s: float,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
) -> Iterator[ModelAdmin]:
    from serving.client.client_options import parse_server

    tls = cli_options.client_tls(ca, cert, key)
    _, address = parse_server(server, "grpc", tls is not None)
    from serving.tfserving.model_admin import ModelAdmin

    with ModelAdmin(address, tls, timeout_s) as admin:
        yield admin
