"""`tagforest ui`; heavy imports wait until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.api import contract


def register(app: typer.Typer) -> None:
    """Adds `ui` to the root command."""
    app.command("ui")(ui)


def ui(
    server: Annotated[
        str, typer.Option(help="HOST:PORT or a URL.")
    ] = f"127.0.0.1:{contract.GRPC_PORT}",
    name: Annotated[
        str, typer.Option(help="Name of the model on the server.")
    ] = contract.MODEL_NAME,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Version label to compare; repeatable."),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on.")
    ] = "127.0.0.1",
    ui_port: Annotated[
        int, typer.Option(help="0 takes a free one.")
    ] = contract.PAGE_PORT,
    tls_ca: Annotated[
        Path | None, typer.Option(help="Authorities to trust: PEM file.")
    ] = None,
) -> None:
    """Show a page that tags dropped pictures with a running server.

    The server may be TensorFlow Serving.
    """
    from serving.api.sockets import bind
    from serving.ui.app import PageOptions, check_page, run_page

    options = PageOptions(
        server=server,
        model=name,
        labels=tuple(label or ()),
        host=host,
        tls_ca=str(tls_ca) if tls_ca else None,
    )
    check_page(options)
    with bind(host, ui_port, "UI") as listening:
        listening.listen()  # Who connects early waits for the page.
        port = listening.getsockname()[1]
        typer.echo(f"page: http://{host}:{port}")
        run_page(options, listening)
