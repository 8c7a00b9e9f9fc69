"""What `tagforest serve` does, in the order of the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from beam_jobs.errors import InputError

if TYPE_CHECKING:
    from serving.api.version_policy import VersionPolicy
    from serving.server.batching import BatchingOptions
    from serving.server.tls import ServerTls


from typing import Annotated

from serving.api import contract
from serving.api.cli_options import TLS, in_panel

# Adaptive batching waits at most so long, unless told otherwise.
_ADAPTIVE_MS = 100.0


@dataclass(frozen=True)
class ServeArguments:
    """The options of the command, by their names there."""

    model_dir: Path | None
    name: str
    host: str
    grpc_port: int
    rest_port: int
    versions: str
    label: list[str] | None
    model_config_file: Path | None
    model_config_poll_s: float
    allow_unavailable_labels: bool
    max_load_retries: int
    load_retry_s: float
    max_batch_size: int
    batch_timeout_ms: float
    adaptive_batching: bool
    max_queued_rows: int
    parallel_batches: int
    batching_parameters_file: Path | None
    ui: bool
    ui_port: int
    rest_api_timeout_in_ms: int
    cors: bool
    tls_cert: Path | None
    tls_key: Path | None
    tls_client_ca: Path | None
    ssl_config_file: Path | None
    engine: str


@dataclass(frozen=True)
class _Checked:
    """What the arguments mean.

    Attributes:
        ports: of gRPC and REST; no longer 0.
        labels: of the model in a folder.
        policy: of the same.
        compared: labels that the page shows beside each other.
        batching: for the local server.
        tls: None for none.
    """

    ports: tuple[int, int]
    labels: dict[str, int]
    policy: VersionPolicy
    compared: list[str]
    batching: BatchingOptions
    tls: ServerTls | None


def run_serve(arguments: ServeArguments) -> None:
    """Checks the arguments, then serves until told to stop.

    Raises:
        InputError: an argument is wrong; TensorFlow has not been loaded yet.
        typer.Exit: with TensorFlow Serving's status where that ran.
    """
    from serving.tfserving.engine import find_binary

    _check_source(arguments)
    binary = find_binary(arguments.engine, arguments.host)
    if binary and arguments.ui:
        raise InputError("--ui goes with --engine python alone")
    if arguments.engine == "auto":
        typer.echo(f"engine: {binary or 'python'}")
    checked = _check(arguments)
    if binary:
        raise typer.Exit(_run_tfserving(binary, arguments, checked))
    _run_local(arguments, checked)


def _check(arguments: ServeArguments) -> _Checked:
    from serving.api.version_policy import VersionPolicy, parse_labels
    from serving.server.tls import load_tls

    labels = parse_labels(arguments.label or ())
    chosen = ",".join(map(str, labels.values())) or "latest"
    policy = VersionPolicy.parse(arguments.versions or chosen)
    ports = _check_ports(arguments)
    compared = _check_models(arguments) or [*labels]
    tls = load_tls(
        arguments.tls_cert,
        arguments.tls_key,
        arguments.tls_client_ca,
        arguments.ssl_config_file,
    )
    if tls and arguments.ui:
        raise InputError(
            "the page asks the server without TLS; leave out --ui or the "
            "options for TLS"
        )
    batching = _batching(arguments)
    return _Checked(ports, labels, policy, compared, batching, tls)


def _check_source(arguments: ServeArguments) -> None:
    if (arguments.model_dir is None) == (arguments.model_config_file is None):
        raise InputError(
            "give either the base folder of a model or --model-config-file"
        )
    selects = bool(arguments.label or arguments.versions)
    if arguments.model_config_file and selects:
        raise InputError(
            "--label and --versions go with a folder; with "
            "--model-config-file they stand in the file"
        )


def _check_ports(arguments: ServeArguments) -> tuple[int, int]:
    from serving.api.sockets import bind

    with (
        bind(arguments.host, arguments.grpc_port, "gRPC") as grpc_socket,
        bind(arguments.host, arguments.rest_port, "REST") as rest_socket,
    ):
        return grpc_socket.getsockname()[1], rest_socket.getsockname()[1]


def _check_models(arguments: ServeArguments) -> list[str]:
    """Returns the labels that a models.config gives its first model."""
    folder = arguments.model_dir
    if folder and not folder.is_dir():
        raise InputError(
            f"no such folder: {folder}; `tagforest export` makes one"
        )
    if arguments.model_config_file is None:
        return []
    from serving.api.models_config import models_of, read_config

    models = models_of(read_config(arguments.model_config_file))
    return [label for model in models[:1] for label in model.labels]


def _batching(arguments: ServeArguments) -> BatchingOptions:
    from serving.server.batching import BatchingOptions

    adaptive_ms = _ADAPTIVE_MS if arguments.adaptive_batching else 0
    said = BatchingOptions(
        max_batch_size=arguments.max_batch_size,
        timeout_s=(arguments.batch_timeout_ms or adaptive_ms) / 1000,
        adaptive=arguments.adaptive_batching,
        max_queued_rows=arguments.max_queued_rows,
        parallel_batches=arguments.parallel_batches,
    )
    if arguments.batching_parameters_file is None:
        return said
    if said != BatchingOptions():
        raise InputError(
            "--batching-parameters-file takes the place of the other options "
            "for batching; leave those out"
        )
    from serving.server.batching_file import read_batching

    return read_batching(arguments.batching_parameters_file)


def _run_tfserving(
    binary: str, arguments: ServeArguments, checked: _Checked
) -> int:
    from serving.server.batching import BatchingOptions
    from serving.tfserving.engine import EngineOptions, serve_model_server
    from serving.tfserving.setup import TfServingSetup

    if checked.tls:
        raise InputError(
            "TensorFlow Serving has TLS for gRPC alone; use --engine python, "
            "or a proxy with TLS in front of it"
        )
    file = arguments.batching_parameters_file
    if file is None and checked.batching != BatchingOptions():
        raise InputError(
            "with --engine tfserving --batching-parameters-file says how to "
            "batch"
        )
    options = EngineOptions(
        *checked.ports,
        models_config_poll_s=arguments.model_config_poll_s,
        max_load_retries=arguments.max_load_retries,
        load_retry_s=arguments.load_retry_s,
        rest_timeout_ms=arguments.rest_api_timeout_in_ms,
        cors=arguments.cors,
        batching_file=file,
    )
    if arguments.model_dir is None:
        config = Path(arguments.model_config_file or "")
        return serve_model_server(binary, config, options)
    base = arguments.model_dir.resolve()
    setup = TfServingSetup(
        base,
        arguments.name,
        checked.labels,
        policy=checked.policy,
        base_path=base,
    )
    return serve_model_server(binary, setup, options)


def _run_local(arguments: ServeArguments, checked: _Checked) -> None:
    with _page(arguments, checked) as page:
        # Only now TensorFlow is imported.
        from serving.server.local_server import ServerOptions
        from serving.server.local_server import serve as serve_model
        from serving.server.rest_server import RestOptions
        from serving.server.versions import RetryOptions

        rest_s = arguments.rest_api_timeout_in_ms / 1000
        options = ServerOptions(
            name=arguments.name,
            host=arguments.host,
            grpc_port=arguments.grpc_port,
            rest_port=arguments.rest_port,
            batching=checked.batching,
            policy=checked.policy,
            labels=checked.labels,
            models_config=arguments.model_config_file,
            models_config_poll_s=arguments.model_config_poll_s,
            retries=RetryOptions(
                arguments.max_load_retries, arguments.load_retry_s
            ),
            allow_unavailable_labels=arguments.allow_unavailable_labels,
            rest=RestOptions(rest_s, arguments.cors, checked.tls),
            tls=checked.tls,
        )
        show = partial(_print_ready, page=page, is_tls=bool(checked.tls))
        serve_model(arguments.model_dir, options, on_ready=show)


@contextmanager
def _page(
    arguments: ServeArguments, checked: _Checked
) -> Iterator[Callable[[str, str], str] | None]:
    if not arguments.ui:
        yield None
        return
    from serving.ui.page_process import page_beside

    with page_beside(
        arguments.host, arguments.ui_port, checked.compared
    ) as page:
        yield page


def _print_ready(
    server, page: Callable[[str, str], str] | None, is_tls: bool
) -> None:
    for name in server.versions.names:
        states = server.versions.states_of(name)
        served = ", ".join(str(s.version) for s in states)
        typer.echo(f"serving {name}, version {served}")
    typer.echo(f"  gRPC  {server.grpc_address}")
    scheme = "https" if is_tls else "http"
    for name in server.versions.names:
        address = f"{scheme}://{server.rest_address}"
        typer.echo(f"  REST  {address}/v1/models/{name}")
    if page:
        typer.echo(f"  page  {page(server.name, server.grpc_address)}")
    trust = " --tls-ca CA.pem" if is_tls else ""
    typer.echo(
        f"try: tagforest tag IMAGE --server {server.grpc_address}{trust}"
    )


_MODELS, _LISTEN = "Models and versions", "Where it listens"
_BATCHING, _PAGE = "Batching", "Page"

_ModelDir = Annotated[
    Path | None, typer.Argument(help="Base folder with numbered versions.")
]
_Name = Annotated[str, in_panel(_MODELS, "Name of the model in requests.")]
_Versions = Annotated[
    str, in_panel(_MODELS, "latest, latest:N, all, or numbers as 1,3.")
]
_Label = Annotated[
    list[str] | None,
    in_panel(_MODELS, "LABEL=VERSION, as stable=1; repeatable."),
]
_ConfigFile = Annotated[
    Path | None, in_panel(_MODELS, "models.config with several models.")
]
_ConfigPoll = Annotated[
    float, in_panel(_MODELS, "Look at it so often; 0: once.", min=0)
]
_UnavailableLabels = Annotated[
    bool,
    in_panel(
        _MODELS,
        "New labels may name versions that are not loaded.",
        "--allow-version-labels-for-unavailable-models",
    ),
]
_LoadRetries = Annotated[
    int, in_panel(_MODELS, "Of a version that does not load.", min=0)
]
_LoadRetryS = Annotated[
    float, in_panel(_MODELS, "Seconds before it is tried again.", min=0)
]
_Engine = Annotated[
    str, typer.Option(help="python, tfserving (if installed) or auto.")
]
_Host = Annotated[str, in_panel(_LISTEN, "Address to listen on.")]
_Port = Annotated[int, in_panel(_LISTEN, "0 takes a free one.")]
_RestTimeout = Annotated[int, in_panel(_LISTEN, "For one REST request.", min=1)]
_Cors = Annotated[
    bool, in_panel(_LISTEN, "Let other sites' pages use REST.", "--cors")
]
_BatchSize = Annotated[
    int, in_panel(_BATCHING, "Images in one call of the model.")
]
_BatchTimeout = Annotated[
    float, in_panel(_BATCHING, "How long a batch waits for company.")
]
_Adaptive = Annotated[
    bool,
    in_panel(
        _BATCHING,
        "Wait only where it pays; 100 ms at most unless told.",
        "--adaptive-batching",
    ),
]
_QueuedRows = Annotated[
    int, in_panel(_BATCHING, "Images that wait; beyond, UNAVAILABLE.")
]
_Parallel = Annotated[int, in_panel(_BATCHING, "Calls of the model at a time.")]
_BatchingFile = Annotated[
    Path | None, in_panel(_BATCHING, "TensorFlow Serving's, instead.")
]
_Ui = Annotated[
    bool, in_panel(_PAGE, "Show a page to drop pictures on.", "--ui")
]
_UiPort = Annotated[int, in_panel(_PAGE, "0 takes a free one.")]
_Cert = Annotated[Path | None, in_panel(TLS, "Certificate, PEM: TLS for both.")]
_Key = Annotated[Path | None, in_panel(TLS, "Its private key, PEM.")]
_ClientCa = Annotated[
    Path | None, in_panel(TLS, "PEM; clients need a certificate of this one.")
]
_SslConfig = Annotated[
    Path | None, in_panel(TLS, "TensorFlow Serving's SSLConfig, instead.")
]


def register(app: typer.Typer) -> None:
    """Adds `serve` to the root command."""
    app.command("serve")(serve)


def serve(
    model_dir: _ModelDir = None,
    engine: _Engine = "python",
    name: _Name = contract.MODEL_NAME,
    versions: _Versions = "",
    label: _Label = None,
    model_config_file: _ConfigFile = None,
    model_config_poll_s: _ConfigPoll = 0,
    allow_unavailable_labels: _UnavailableLabels = False,
    max_load_retries: _LoadRetries = 5,
    load_retry_s: _LoadRetryS = 60,
    host: _Host = "127.0.0.1",
    grpc_port: _Port = contract.GRPC_PORT,
    rest_port: _Port = contract.REST_PORT,
    rest_api_timeout_in_ms: _RestTimeout = 30_000,
    cors: _Cors = False,
    max_batch_size: _BatchSize = 32,
    batch_timeout_ms: _BatchTimeout = 0,
    adaptive_batching: _Adaptive = False,
    max_queued_rows: _QueuedRows = 1024,
    parallel_batches: _Parallel = 1,
    batching_parameters_file: _BatchingFile = None,
    ui: _Ui = False,
    ui_port: _UiPort = contract.PAGE_PORT,
    tls_cert: _Cert = None,
    tls_key: _Key = None,
    tls_client_ca: _ClientCa = None,
    ssl_config_file: _SslConfig = None,
) -> None:
    """Serve models over gRPC and REST until interrupted.

    With labels and no --versions, the labelled ones are served.
    """
    run_serve(ServeArguments(**locals()))
