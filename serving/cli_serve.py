"""`tagforest serve`; heavy imports wait until it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
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
        Path | None, typer.Argument(help="Base folder with numbered versions.")
    ] = None,
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
    model_config_file: Annotated[
        Path | None,
        typer.Option(help="models.config with several models."),
    ] = None,
    model_config_poll_s: Annotated[
        float, typer.Option(min=0, help="Look at it so often; 0: once.")
    ] = 0,
    allow_unavailable_labels: Annotated[
        bool,
        typer.Option(
            "--allow-version-labels-for-unavailable-models",
            help="New labels may name versions that are not loaded.",
        ),
    ] = False,
    max_load_retries: Annotated[
        int, typer.Option(min=0, help="Of a version that does not load.")
    ] = 5,
    load_retry_s: Annotated[
        float, typer.Option(min=0, help="Seconds before it is tried again.")
    ] = 60,
    ui: Annotated[
        bool, typer.Option("--ui", help="Show a page to drop pictures on.")
    ] = False,
    ui_port: Annotated[
        int, typer.Option(help="0 takes a free one.")
    ] = contract.PAGE_PORT,
    rest_api_timeout_in_ms: Annotated[
        int, typer.Option(min=1, help="For one REST request.")
    ] = 30_000,
    cors: Annotated[
        bool, typer.Option("--cors", help="Let other sites' pages use REST.")
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate, PEM: TLS for both.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its private key, PEM.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(help="PEM; clients need a certificate of this one."),
    ] = None,
    ssl_config_file: Annotated[
        Path | None,
        typer.Option(help="TensorFlow Serving's SSLConfig, instead."),
    ] = None,
    engine: Annotated[
        str, typer.Option(help="python, tfserving (if installed) or auto.")
    ] = "python",
) -> None:
    """Serve models over gRPC and REST until interrupted.

    With labels and no --versions, the labelled ones are served.
    """
    _check_source(model_dir, model_config_file, bool(label or versions))
    from serving.server.sockets import bind
    from serving.tfserving.engine import find_binary
    from serving.version_policy import VersionPolicy, parse_labels

    labels = parse_labels(label or ())
    compared = [*labels]
    chosen = ",".join(map(str, labels.values())) or "latest"
    policy = VersionPolicy.parse(versions or chosen)
    binary = find_binary(engine, host)
    if binary and ui:
        raise InputError("--ui goes with --engine python alone")
    if engine == "auto":
        typer.echo(f"engine: {binary or 'python'}")

    # TensorFlow takes seconds to import; say at once if a port is taken.
    with (
        bind(host, grpc_port, "gRPC") as grpc_socket,
        bind(host, rest_port, "REST") as rest_socket,
    ):
        ports = grpc_socket.getsockname()[1], rest_socket.getsockname()[1]
    if model_config_file:
        from serving.models_config import models_of, read_config

        models = models_of(read_config(model_config_file))
        compared = [text for m in models[:1] for text in m.labels]
    if model_dir and not model_dir.is_dir():
        raise InputError(
            f"no such folder: {model_dir}; `tagforest export` makes one"
        )
    from serving.server.tls import load_tls

    tls = load_tls(tls_cert, tls_key, tls_client_ca, ssl_config_file)
    if tls and ui:
        raise InputError(
            "the page asks the server without TLS; leave out --ui or the "
            "options for TLS"
        )
    if binary:
        from serving.tfserving.engine import EngineOptions, serve_model_server

        if tls:
            raise InputError(
                "TensorFlow Serving has TLS for gRPC alone; use --engine "
                "python, or a proxy with TLS in front of it"
            )
        same = EngineOptions(
            *ports,
            model_config_poll_s,
            max_load_retries,
            load_retry_s,
            rest_api_timeout_in_ms,
            cors,
        )
        served = model_config_file or _setup(model_dir, name, labels, policy)
        raise typer.Exit(serve_model_server(binary, served, same))
    with ExitStack() as stack:
        page = None
        if ui:
            from serving.ui.page_process import page_beside

            page = stack.enter_context(page_beside(host, ui_port, compared))
        from serving.server.local_server import ServerOptions
        from serving.server.local_server import serve as serve_model
        from serving.server.rest_server import RestOptions
        from serving.server.versions import RetryOptions

        options = ServerOptions(
            name=name,
            host=host,
            grpc_port=grpc_port,
            rest_port=rest_port,
            policy=policy,
            labels=labels,
            models_config=model_config_file,
            models_config_poll_s=model_config_poll_s,
            retries=RetryOptions(max_load_retries, load_retry_s),
            allow_unavailable_labels=allow_unavailable_labels,
            rest=RestOptions(rest_api_timeout_in_ms / 1000, cors, tls),
            tls=tls,
        )
        show = partial(_print_ready, page=page, is_tls=tls is not None)
        serve_model(model_dir, options, on_ready=show)


def _check_source(
    model_dir: Path | None, model_config_file: Path | None, selects: bool
) -> None:
    if (model_dir is None) == (model_config_file is None):
        raise InputError(
            "give either the base folder of a model or --model-config-file"
        )
    if model_config_file and selects:
        raise InputError(
            "--label and --versions go with a folder; with "
            "--model-config-file they stand in the file"
        )


def _setup(model_dir, name, labels, policy):
    from serving.tfserving.setup import TfServingSetup

    base = model_dir.resolve()
    return TfServingSetup(base, name, labels, policy=policy, base_path=base)


def _print_ready(
    server, page: Callable[[str, str], str] | None, is_tls: bool
) -> None:
    scheme = "https" if is_tls else "http"
    typer.echo(f"  gRPC  {server.grpc_address}")
    for name in server.versions.names:
        states = server.versions.states_of(name)
        served = ", ".join(str(s.version) for s in states)
        typer.echo(f"serving {name}, version {served}")
        address = f"{scheme}://{server.rest_address}"
        typer.echo(f"  REST  {address}/v1/models/{name}")
    if page:
        typer.echo(f"  page  {page(server.name, server.grpc_address)}")
    trust = " --tls-ca CA.pem" if is_tls else ""
    typer.echo(
        f"try: tagforest tag IMAGE --server {server.grpc_address}{trust}"
    )
