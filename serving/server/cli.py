"""`tagforest serve`; heavy imports wait until it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from serving.api import contract
from serving.api.cli_options import in_panel
from serving.api.server_options import ServerOptions, TlsOptions
from serving.api.version_folders import check_base

_PAGE = "Page"
# What starts the page: of a model, at a server's addresses -> its URL.
_Page = Callable[[str, str, str], str]


@takes_options
def serve(
    options: ServerOptions,
    model_dir: Annotated[
        str | None,
        typer.Argument(
            help="Base folder with numbered versions, also gs:// or s3://."
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="python, tfserving (if installed) or auto.")
    ] = "python",
    ui: Annotated[
        bool, in_panel(_PAGE, "Show a page to drop images on.", "--ui")
    ] = False,
    ui_port: Annotated[
        int, in_panel(_PAGE, "0 takes a free one.")
    ] = contract.PAGE_PORT,
) -> None:
    """Serve models over gRPC and REST until interrupted.

    With labels and no --versions, the labelled ones are served.
    """
    from serving.tfserving.engine import find_binary

    binary = find_binary(engine, options.host)
    if engine == "auto":
        typer.echo(f"engine: {binary or 'python'}")
    if ui:
        _check_page(binary, options)
    ports = _check_ports(options)
    labels = _check_models(model_dir, options)
    if binary:
        raise typer.Exit(_serve_binary(binary, model_dir, options, ports))
    from serving.server.batching_file import with_batching
    from serving.server.tls import load_tls

    load_tls(options.tls)
    options = with_batching(options)
    with _page(ui, options.host, ui_port, labels) as page:
        # Only now TensorFlow is imported.
        from serving.server import local_server

        is_tls = options.tls != TlsOptions()
        show = partial(_print_ready, page=page, is_tls=is_tls)
        local_server.serve(
            model_dir, options, on_ready=show, on_drain=_print_draining
        )


def _serve_binary(binary, model_dir, options: ServerOptions, ports) -> int:
    """Serves by TensorFlow Serving and returns its exit status."""
    from serving.tfserving.engine import serve_model_server

    grpc_port, rest_port = ports
    options = replace(options, grpc_port=grpc_port, rest_port=rest_port)
    return serve_model_server(binary, _local(model_dir), options)


def _print_draining(seconds: float) -> None:
    # Whoever read the lines may be gone, which is no reason to refuse clients.
    with suppress(OSError):
        typer.echo(
            f"draining: {seconds:g} s of answers more, then the server ends; "
            "another signal ends it now"
        )


def _check_page(binary: str | None, options: ServerOptions) -> None:
    if binary:
        raise InputError("--ui goes with --engine python alone")
    if options.tls != TlsOptions():
        raise InputError(
            "the page asks the server without TLS; leave out --ui or the "
            "options for TLS"
        )


def _check_ports(options: ServerOptions) -> tuple[int, int]:
    """Returns the ports of gRPC and REST, of which none is 0."""
    from serving.api.sockets import bind

    # For TensorFlow Serving, 0 is no port at all. Both at once, or 0 and 0
    # might be one.
    with (
        bind(options.host, options.grpc_port, "gRPC") as grpc_socket,
        bind(options.host, options.rest_port, "REST") as rest_socket,
    ):
        return grpc_socket.getsockname()[1], rest_socket.getsockname()[1]


def _local(model_dir: str | None) -> Path | None:
    if model_dir and storage.is_remote(model_dir):
        raise InputError(
            f"--engine tfserving takes {model_dir} from a "
            "--model-config-file alone"
        )
    return Path(model_dir) if model_dir else None


def _check_models(model_dir: str | None, options: ServerOptions) -> list[str]:
    """Returns the labels of the first model, which the page compares."""
    from serving.api.models_config import logs_of, served_models

    models = served_models(model_dir, options)
    logs_of(models, options.request_log)
    if model_dir and not storage.is_remote(model_dir):
        _check_folder(Path(model_dir), options)
    return [label for model in models[:1] for label in model.labels]


def _check_folder(base: Path, options: ServerOptions) -> None:
    check_base(base)
    if not base.is_dir() and not options.wait_for_versions:
        raise InputError(
            f"no such folder: {base}; `tagforest export` makes one"
        )


@contextmanager
def _page(
    wanted: bool, host: str, port: int, labels: list[str]
) -> Iterator[_Page | None]:
    if not wanted:
        yield None
        return
    from serving.ui.page_process import page_beside

    with page_beside(host, port, labels) as page:
        yield page


def _print_ready(server, page: _Page | None, is_tls: bool) -> None:
    for name in server.versions.names:
        served = ", ".join(map(str, server.versions.loaded(name)))
        typer.echo(
            f"serving {name}, version {served}"
            if served
            else f"waiting for a first version of {name}"
        )
    typer.echo(f"  gRPC  {server.grpc_address}")
    scheme = "https" if is_tls else "http"
    for name in server.versions.names:
        address = f"{scheme}://{server.rest_address}"
        typer.echo(f"  REST  {address}/v1/models/{name}")
    if page:
        url = page(server.name, server.grpc_address, server.rest_address)
        typer.echo(f"  page  {url}")
    trust = " --tls-ca CA.pem" if is_tls else ""
    typer.echo(
        f"try: tagforest tag IMAGE --server {server.grpc_address}{trust}"
    )
