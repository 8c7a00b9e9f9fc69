"""`tagforest ui`; heavy imports wait until it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from serving.api import contract
from serving.ui.app import PageOptions


@takes_options
def ui(
    options: PageOptions,
    ui_port: Annotated[
        int, typer.Option(help="0 takes a free one.")
    ] = contract.PAGE_PORT,
) -> None:
    """Show a page that tags dropped images with a running server.

    The server may be TensorFlow Serving.
    """
    from serving.api.sockets import bind
    from serving.ui.app import check_page, run_page

    check_page(options)
    with bind(options.host, ui_port, "UI") as listening:
        listening.listen()  # Who connects early waits for the page.
        port = listening.getsockname()[1]
        typer.echo(f"page: http://{options.host}:{port}")
        run_page(options, listening)
