"""A local server that speaks TensorFlow Serving's Predict API.

For development, tests and small deployments; TensorFlow Serving serves the
same SavedModel in production.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.models_config import ModelConfig, models_of, read_config
from serving.api.sockets import bind
from serving.api.version_policy import VersionPolicy
from serving.server.batching import BatchingOptions
from serving.server.grpc_server import GrpcServer
from serving.server.model_registry import ModelRegistry, RegistryOptions
from serving.server.reload import watching
from serving.server.request_metrics import RequestMetrics
from serving.server.rest_server import RestOptions, RestServer
from serving.server.tls import ServerTls
from serving.server.versions import OnWarmUp, RetryOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """How a model is served.

    Attributes:
        name: of the model, in requests.
        host: address to listen on.
        grpc_port, rest_port: 0 takes a free one.
        batching: how requests are put together.
        poll_s: seconds between two looks for a new version.
        policy: which versions are served.
        labels: names for some of them.
        models_config: a `models.config` that lists models, instead of name,
            policy and labels.
        models_config_poll_s: seconds between two looks at it; 0 reads it once.
        retries: of versions that do not load.
        allow_unavailable_labels: see `RegistryOptions`.
        grace_s: seconds that running requests get when the server stops.
        rest: timeout, headers and TLS of REST.
        tls: of gRPC; None for none.
    """

    name: str = contract.MODEL_NAME
    host: str = "127.0.0.1"
    grpc_port: int = contract.GRPC_PORT
    rest_port: int = contract.REST_PORT
    batching: BatchingOptions = field(default_factory=BatchingOptions)
    poll_s: float = 1.0
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = field(default_factory=dict)
    models_config: Path | None = None
    models_config_poll_s: float = 0.0
    retries: RetryOptions = RetryOptions()
    allow_unavailable_labels: bool = False
    grace_s: float = 10.0
    rest: RestOptions = RestOptions()
    tls: ServerTls | None = None


@dataclass(frozen=True)
class RunningServer:
    """Where a started server answers; `name` is its first model's."""

    name: str
    host: str
    grpc_port: int
    rest_port: int
    versions: ModelRegistry

    @property
    def grpc_address(self) -> str:
        """`host:port` for gRPC."""
        return f"{self.host}:{self.grpc_port}"

    @property
    def rest_address(self) -> str:
        """`host:port` for REST."""
        return f"{self.host}:{self.rest_port}"


@contextmanager
def running_server(
    model_base: Path | None, options: ServerOptions | None = None
) -> Iterator[RunningServer]:
    """Serves the versions in a folder until the block ends.

    It answers when the block starts. On leaving, requests that run finish.

    Args:
        model_base: `<model_base>/<version>/saved_model.pb`; None if
            `options.models_config` says it.
        options: name, address and limits.

    Raises:
        InputError: a port in use (found before the model is loaded), or no
            model to serve.
    """
    options = options or ServerOptions()
    # There is no request, and no warm-up, before it starts below.
    versions = _registry(
        model_base, options, lambda *done: metrics.warmed_up(*done)
    )
    metrics = RequestMetrics(versions)
    with ExitStack() as stack:
        # gRPC listens as soon as it has its port, so it takes it last; until
        # then a plain socket keeps others away.
        held = bind(options.host, options.grpc_port, "gRPC")
        stack.callback(held.close)
        where = options.host, options.rest_port
        rest = RestServer(versions, metrics, *where, options.rest)
        stack.callback(rest.stop, options.grace_s)
        versions.start()
        stack.callback(versions.close)
        held.close()
        where = options.host, options.grpc_port
        grpc_server = GrpcServer(versions, metrics, *where, options.tls)
        stack.callback(grpc_server.stop, options.grace_s)
        grpc_server.start()
        rest.start()
        if file := options.models_config:
            poll_s = options.models_config_poll_s
            stack.enter_context(watching(file, versions, poll_s))
        yield RunningServer(
            next(iter(versions.names), ""),
            options.host,
            grpc_server.port,
            rest.port,
            versions,
        )
        _stop_together(rest, grpc_server, options.grace_s)


def _registry(
    model_base: Path | None, options: ServerOptions, on_warm_up: OnWarmUp
) -> ModelRegistry:
    kept = RegistryOptions(
        options.batching,
        options.poll_s,
        options.retries,
        options.allow_unavailable_labels,
        on_warm_up,
    )
    return ModelRegistry(_models(model_base, options), kept)


def _models(
    model_base: Path | None, options: ServerOptions
) -> Sequence[ModelConfig]:
    if options.models_config:
        return models_of(read_config(options.models_config))
    if model_base is None:
        raise InputError("a folder of a model, or a models.config, is needed")
    return [
        ModelConfig(
            options.name, Path(model_base), options.policy, options.labels
        )
    ]


def _stop_together(
    rest: RestServer, grpc_server: GrpcServer, grace_s: float
) -> None:
    stopping = threading.Thread(target=rest.stop, args=(grace_s,))
    stopping.start()
    grpc_server.stop(grace_s)
    stopping.join()


def serve(
    model_base: Path | None,
    options: ServerOptions | None = None,
    *,
    on_ready: Callable[[RunningServer], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests finish.

    Call it in the main thread.

    Args:
        model_base: `<model_base>/<version>/saved_model.pb`; None if
            `options.models_config` says it.
        options: name, address and limits.
        on_ready: called once when requests are answered.

    Raises:
        InputError: a port in use, or no model to serve.
    """
    limit_arenas()
    stop = threading.Event()
    with _signals_set(stop), running_server(model_base, options) as server:
        _log.info("gRPC %s, REST %s", server.grpc_address, server.rest_address)
        if on_ready:
            on_ready(server)
        stop.wait()


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {n: signal.signal(n, lambda *_: stop.set()) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>


def limit_arenas() -> bool:
    """Lets threads share as few heaps as there are processors.

    glibc gives every thread a heap, up to eight a processor, and each keeps
    what its largest request once took. Requests run in many threads, so a
    server grew for minutes before it had filled them all. Users may say
    otherwise with MALLOC_ARENA_MAX
    (https://man7.org/linux/man-pages/man3/mallopt.3.html).

    Returns:
        Whether it had an effect: not without glibc.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_ARENA_MAX, max(2, os.cpu_count() or 1)))
