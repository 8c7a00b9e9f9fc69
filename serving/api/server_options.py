"""How models are served, by `tagforest serve` or by TensorFlow Serving."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options
from serving.api import contract
from serving.api.client_tls import TLS
from serving.api.request_log_options import RequestLogOptions
from serving.api.trace_options import TraceOptions
from serving.api.version_policy import VersionPolicy, parse_labels

_models = partial(Option, panel="Models and versions")
_listen = partial(Option, panel="Where it listens")
_batching = partial(Option, panel="Batching")
_tls = partial(Option, panel=TLS)
# Adaptive batching waits at most so long, unless told otherwise.
_ADAPTIVE_S = 0.1


def parse_channel_arguments(text: str) -> dict[str, int | str]:
    """Reads TensorFlow Serving's `--grpc_channel_arguments`.

    Raises:
        InputError: no `key=value`.
    """
    found: dict[str, int | str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise InputError(
                "--grpc-channel-arguments takes key=value, with commas "
                f"between; received: {part!r}"
            )
        is_number = re.fullmatch(r"-?\d{1,10}", value)
        found[key] = int(value) if is_number else value
    return found


def _seconds(milliseconds: float) -> float:
    return milliseconds / 1000


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:g}"


@dataclass(frozen=True)
class BatchingOptions(Options):
    """When requests are put together.

    Attributes:
        max_batch_size: a larger request is run in parts.
        timeout_s: with 0 a batch is what came in while the model was busy.
        all_models: requests of any model are joined, not only those of
            exports that say that their rows are answered each for itself.
        parallel_runs: calls at a time of a signature that is not batched.
        adaptive: waits `timeout_s` at most, or 0.1 s if that is 0.
        parallel_batches: of each signature.
        allowed_sizes: batches are filled up to the next of these sizes,
            ascending, the last one `max_batch_size`; empty for any size.

    Raises:
        InputError: a value out of range.
    """

    max_batch_size: Annotated[
        int, _batching("Images in one call of the model.", min=1)
    ] = 32
    timeout_s: Annotated[
        float,
        _batching(
            "How long a batch waits for company.",
            min=0,
            max=60,
            flag="--batch-timeout-ms",
            metavar="<float>",
            parse=_seconds,
            show=_milliseconds,
        ),
    ] = 0.0
    adaptive: Annotated[
        bool,
        _batching(
            "Wait only where it pays; 100 ms at most unless told.",
            flag="--adaptive-batching",
        ),
    ] = False
    max_queued_rows: Annotated[
        int, _batching("Images that wait; beyond, UNAVAILABLE.", min=1)
    ] = 1024
    parallel_batches: Annotated[
        int, _batching("Calls of the model at a time.", min=1)
    ] = 1
    parallel_runs: Annotated[
        int,
        _batching("Calls at a time of a model that is not batched.", min=1),
    ] = field(default_factory=lambda: 2 * (os.cpu_count() or 1))
    all_models: Annotated[
        bool,
        _batching(
            "Join requests of any SavedModel, as TensorFlow Serving then "
            "does; else only where an export says that it may be.",
            flag="--enable-batching",
        ),
    ] = False
    allowed_sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.allowed_sizes
        ascending = list(sizes) == sorted({*sizes}) and min(sizes, default=1)
        if sizes and (not ascending or sizes[-1] != self.max_batch_size):
            raise InputError(
                "allowed_sizes must ascend from 1 or more to max_batch_size, "
                f"{self.max_batch_size}; received: {list(sizes)}"
            )

    @property
    def longest_wait_s(self) -> float:
        """How long a batch that is not full waits at most."""
        return self.timeout_s or (_ADAPTIVE_S if self.adaptive else 0.0)

    def filled_up(self, rows: int) -> int:
        """Returns the rows that a batch is run with."""
        # No rows stay none: there is no row to fill up with.
        return next((s for s in self.allowed_sizes if s >= rows > 0), rows)


@dataclass(frozen=True)
class RetryOptions(Options):
    """How often a version that does not load is tried again.

    The defaults are TensorFlow Serving's `max_num_load_retries` and
    `load_retry_interval_micros`.
    """

    count: Annotated[
        int,
        _models(
            "Of a version that does not load.", min=0, flag="--max-load-retries"
        ),
    ] = 5
    interval_s: Annotated[
        float,
        _models(
            "Seconds before it is tried again.", min=0, flag="--load-retry-s"
        ),
    ] = 60


@dataclass(frozen=True)
class RestOptions(Options):
    """How REST answers; over `timeout_s`, DEADLINE_EXCEEDED."""

    timeout_s: Annotated[
        float,
        _listen(
            "For one REST request.",
            over=0,
            flag="--rest-api-timeout-in-ms",
            metavar="<int range> [x>=1]",
            typed=int,
            parse=_seconds,
            show=_milliseconds,
        ),
    ] = 30.0
    cors: Annotated[
        bool, _listen("Let other sites' pages use REST.", flag="--cors")
    ] = False


@dataclass(frozen=True)
class TlsOptions(Options):
    """The server's PEM files; none for connections without TLS."""

    cert: Annotated[
        Path | None, _tls("Certificate, PEM: TLS for both.", flag="--tls-cert")
    ] = None
    key: Annotated[
        Path | None, _tls("Its private key, PEM.", flag="--tls-key")
    ] = None
    client_ca: Annotated[
        Path | None,
        _tls(
            "PEM; clients need a certificate of this one.",
            flag="--tls-client-ca",
        ),
    ] = None
    ssl_config_file: Annotated[
        Path | None, _tls("TensorFlow Serving's SSLConfig, instead.")
    ] = None


@dataclass(frozen=True)
class ServerOptions(Options):
    """How models are served.

    Attributes:
        policy: which versions; None for those that have labels, or the
            highest.
        labels: label -> version.
        models_config: instead of name, policy and labels.
        models_config_poll_s: seconds between two looks at it; 0 reads it once.
        tls: of gRPC and REST.
        most_requests: over REST, and over gRPC.
        grpc_channel_arguments: of gRPC's core, by name.
        drain_s: seconds between a SIGTERM and the end of answers.
        poll_s: seconds between two looks for versions; 0 looks once.
        grace_s: seconds that running requests get when the server stops.

    Raises:
        InputError: a value out of range, or options that exclude each other.
    """

    name: Annotated[str, _models("Name of the model in requests.")] = (
        contract.MODEL_NAME
    )
    policy: Annotated[
        VersionPolicy | None,
        _models(
            "latest, latest:N, all, or numbers as 1,3.",
            flag="--versions",
            typed=str,
            parse=VersionPolicy.parse,
        ),
    ] = None
    labels: Annotated[
        Mapping[str, int],
        _models(
            "LABEL=VERSION, as stable=1; repeatable.",
            flag="--label",
            typed=list[str],
            parse=parse_labels,
        ),
    ] = field(default_factory=dict)
    models_config: Annotated[
        Path | None,
        _models(
            "models.config with several models.", flag="--model-config-file"
        ),
    ] = None
    models_config_poll_s: Annotated[
        float,
        _models(
            "Look at it so often; 0: once.", min=0, flag="--model-config-poll-s"
        ),
    ] = 0
    allow_unavailable_labels: Annotated[
        bool,
        _models(
            "New labels may name versions that are not loaded.",
            flag="--allow-version-labels-for-unavailable-models",
        ),
    ] = False
    wait_for_versions: Annotated[
        bool,
        _models(
            "Start before there is a version; serve the first that comes.",
            flag="--wait-for-first-version",
        ),
    ] = False
    retries: RetryOptions = RetryOptions()
    host: Annotated[str, _listen("Address to listen on.")] = "127.0.0.1"
    grpc_port: Annotated[int, _listen("0 takes a free one.")] = (
        contract.GRPC_PORT
    )
    rest_port: Annotated[int, _listen("0 takes a free one.")] = (
        contract.REST_PORT
    )
    most_requests: Annotated[
        int,
        _listen(
            "That run or wait over REST, and over gRPC; beyond, UNAVAILABLE.",
            min=1,
            flag="--max-waiting-requests",
        ),
    ] = 4096
    grpc_socket_path: Annotated[
        Path | None, _listen("A Unix socket for gRPC, beside its port.")
    ] = None
    grpc_channel_arguments: Annotated[
        Mapping[str, int | str],
        _listen(
            "Of gRPC, as grpc.max_connection_age_ms=60000, with commas "
            "between.",
            typed=str,
            parse=parse_channel_arguments,
        ),
    ] = field(default_factory=dict)
    drain_s: Annotated[
        float,
        _listen(
            "After SIGTERM it answers so long, while probes say no.", min=0
        ),
    ] = 5.0
    rest: RestOptions = RestOptions()
    batching: BatchingOptions = BatchingOptions()
    batching_file: Annotated[
        Path | None,
        _batching(
            "TensorFlow Serving's, instead.", flag="--batching-parameters-file"
        ),
    ] = None
    tls: TlsOptions = TlsOptions()
    request_log: RequestLogOptions = RequestLogOptions()
    traces: TraceOptions = TraceOptions()
    poll_s: float = 1.0
    grace_s: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.models_config and (self.labels or self.policy):
            raise InputError(
                "--label and --versions go with a folder; with "
                "--model-config-file they stand in the file"
            )
        self.request_log.require_file(of_models=self.models_config is not None)
        alone = replace(self.batching, all_models=False)
        if self.batching_file and alone != BatchingOptions():
            raise InputError(
                "--batching-parameters-file takes the place of the other "
                "options for batching; leave those out"
            )
        if self.grpc_port and self.grpc_port == self.rest_port:
            raise InputError(
                "--grpc-port and --rest-port must differ; received: "
                f"{self.grpc_port} twice"
            )
