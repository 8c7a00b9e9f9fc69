"""`tagforest serve`; heavy imports wait until it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving import contract
from serving.cli_options import TLS, in_panel
from serving.serve_command import ServeArguments
from serving.serve_command import serve as run_serve

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
