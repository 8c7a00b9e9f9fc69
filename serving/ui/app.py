"""Serves the page until it is told to stop."""

from __future__ import annotations

import importlib.util
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option
from serving.api import contract
from serving.api.client_tls import ClientTls
from serving.client.client_options import ClientOptions, parse_server

_STYLE = Path(__file__).with_name("style.css")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# The server that is asked may share the machine: its answers come first.
_NICENESS = 5
_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class PageOptions:
    """What the page shows; without `tls_ca`, it connects without TLS."""

    server: Annotated[str, Option("HOST:PORT or a URL.")] = (
        f"127.0.0.1:{contract.GRPC_PORT}"
    )
    model: Annotated[
        str, Option("Name of the model on the server.", flag="--name")
    ] = contract.MODEL_NAME
    labels: Annotated[
        tuple[str, ...],
        Option("Version label to compare; repeatable.", flag="--label"),
    ] = ()
    host: Annotated[str, Option("Address to listen on.")] = "127.0.0.1"
    rest: Annotated[
        str,
        Option(
            "HOST:PORT of the server's REST API, for the curl commands that "
            "the page gives; without it they are tagforest's own."
        ),
    ] = ""
    tls_ca: Annotated[
        str | None, Option("Authorities to trust: PEM file.", path=True)
    ] = None

    def client(self) -> ClientOptions:
        """Returns how the server is asked."""
        tls = ClientTls(Path(self.tls_ca)) if self.tls_ca else None
        return ClientOptions(self.model, timeout_s=_TIMEOUT_S, tls=tls)


def check_page(options: PageOptions) -> None:
    """Finds out whether the page can be shown.

    Raises:
        InputError: NiceGUI is missing, or a wrong address or TLS file.
    """
    parse_server(options.server, secure=options.client().tls is not None)
    if importlib.util.find_spec("nicegui") is None:
        raise InputError(
            "the page needs NiceGUI, which is not installed; "
            "`pip install 'tagforest[ui]'` gets it"
        )


def run_page(options: PageOptions, listening: socket.socket) -> None:
    """Shows the page until SIGTERM or SIGINT.

    Args:
        listening: a bound socket; closed at the end.

    Raises:
        InputError: NiceGUI is missing, or a wrong address or TLS file.
    """
    check_page(options)
    import uvicorn
    from PIL import Image

    # The page says how large an image is that nobody unpacks; `preview` and
    # `small_mask` have limits of their own.
    Image.MAX_IMAGE_PIXELS = None

    os.nice(_NICENESS)
    config = uvicorn.Config(
        _application(options),
        loop="asyncio",
        http="h11",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _application(options: PageOptions):
    from fastapi import FastAPI
    from nicegui import app as nicegui_app
    from nicegui import ui
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from serving.ui.compared_versions import Tagger
    from serving.ui.page import TagPage
    from serving.ui.upload_limit import UploadLimit
    from serving.ui.uploads import MOST_BYTES, Allowance

    tagger = Tagger(
        options.server, options.client(), options.labels, options.rest
    )
    shared = Allowance(most_bytes=MOST_BYTES, most_images=1_000)

    def page() -> None:
        ui.add_css(_STYLE)
        ui.colors(primary="#1b6b3f")
        TagPage(tagger, shared)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(UploadLimit)
    if options.host in _LOOPBACK:
        # Else a page elsewhere could take over a name that leads here.
        app.add_middleware(
            TrustedHostMiddleware, allowed_hosts=[*_LOOPBACK, "[::1]"]
        )
    # Quasar shows it without a name while files are sent.
    nicegui_app.config.quasar_config["loadingBar"]["aria-label"] = "Sending"
    ui.run_with(
        app,
        root=page,
        title=f"{options.model} · tagforest",
        favicon="🌲",
        dark=None,
        language="en-US",
        tailwind=False,
        show_welcome_message=False,
    )
    return app
