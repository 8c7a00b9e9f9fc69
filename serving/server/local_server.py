"""A local server that speaks TensorFlow Serving's Predict API.

For development, tests and small deployments; TensorFlow Serving serves the
same SavedModel in production.
"""

from __future__ import annotations

import logging
import resource
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGHUP, SIGTERM

from beam_jobs.errors import InputError
from beam_jobs.stop_signals import stop_signals_to
from serving.api.errors import RequestError
from serving.api.heaps import limit_arenas
from serving.api.models_config import (
    ModelConfig,
    models_of,
    read_config,
    served_models,
)
from serving.api.server_options import ServerOptions
from serving.api.sockets import bind
from serving.server import request_logs, traces
from serving.server.batching_file import with_batching
from serving.server.grpc_server import GrpcServer
from serving.server.model_registry import ModelRegistry
from serving.server.reload import watching
from serving.server.request_logs import RequestLogs
from serving.server.request_metrics import RequestMetrics
from serving.server.rest_server import RestServer
from serving.server.tls import LiveTls, load_tls

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    rest: RestServer
    grpc: GrpcServer
    tls: LiveTls | None
    models_config: Path | None


@dataclass(frozen=True)
class RunningServer:
    """Where a started server answers; `name` is its first model's."""

    name: str
    host: str
    grpc_port: int
    rest_port: int
    versions: ModelRegistry
    _parts: _Parts

    def drain(self) -> None:
        """Answers on, while its probes say that it wants no more requests."""
        self._parts.grpc.drain()
        self._parts.rest.drain()

    def reread(self) -> None:
        """Takes up what `models.config` and the files of TLS say now.

        Raises:
            InputError: a file is wrong; its part stays as it was.
            RequestError: as `ModelRegistry.reload`.
        """
        if self._parts.tls:
            self._parts.tls.reread()
        if self._parts.models_config:
            models = models_of(read_config(self._parts.models_config))
            self.versions.reload(models)

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
    model_base: Path | str | None, options: ServerOptions | None = None
) -> Iterator[RunningServer]:
    """Serves the versions in a folder until the block ends.

    It answers when the block starts. On leaving, requests that run finish.

    Args:
        model_base: `<model_base>/<version>/saved_model.pb`; None if
            `options.models_config` says it.

    Raises:
        InputError: a port in use or a request log that cannot be written to
            (found before the model is loaded), or no model to serve.
    """
    options = with_batching(options or ServerOptions())
    found = load_tls(options.tls)
    tls = LiveTls(options.tls, found) if found else None
    # There is no request, and no warm-up, before it starts below.
    models = served_models(model_base, options)
    versions = ModelRegistry(
        models,
        options,
        lambda *done: metrics.warmed_up(*done),
        lambda models: logs.apply(models),
    )
    # It closes last: requests that run are in it.
    with _seen(versions, models, options) as seen, ExitStack() as stack:
        metrics, logs = seen
        # gRPC listens once it has its port: until then a plain socket does.
        held = bind(options.host, options.grpc_port, "gRPC")
        stack.callback(held.close)
        rest = RestServer(versions, metrics, options, tls)
        stack.callback(rest.stop, options.grace_s)
        versions.start()
        stack.callback(versions.close)
        held.close()
        grpc_server = GrpcServer(versions, metrics, options, tls)
        stack.callback(grpc_server.stop, options.grace_s)
        grpc_server.start()
        rest.start()
        if file := options.models_config:
            poll_s = options.models_config_poll_s
            stack.enter_context(watching(file, versions, poll_s))
        name = next(iter(versions.names), "")
        ports = grpc_server.port, rest.port
        parts = _Parts(rest, grpc_server, tls, options.models_config)
        yield RunningServer(name, options.host, *ports, versions, parts)
        # What the stack then does again changes nothing; it is for errors.
        _stop_together(rest, grpc_server, options.grace_s)


@contextmanager
def _seen(
    versions: ModelRegistry,
    models: Sequence[ModelConfig],
    options: ServerOptions,
) -> Iterator[tuple[RequestMetrics, RequestLogs]]:
    """Yields what sees each request: metrics with logs and traces."""
    with (
        request_logs.opened(options.request_log, models) as logs,
        traces.opened(options.traces) as traced,
    ):
        yield RequestMetrics(versions, logs, traced), logs


def _stop_together(
    rest: RestServer, grpc_server: GrpcServer, grace_s: float
) -> None:
    # At once: one after the other, they would take the grace twice.
    stopping = threading.Thread(target=rest.stop, args=(grace_s,))
    stopping.start()
    grpc_server.stop(grace_s)
    stopping.join()


def serve(
    model_base: Path | str | None,
    options: ServerOptions | None = None,
    *,
    on_ready: Callable[[RunningServer], None] | None = None,
    on_drain: Callable[[float], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests finish.

    After SIGTERM it answers on for `options.drain_s`, unless another signal
    comes. At SIGHUP it reads its files again. Call it in the main thread.

    Args:
        model_base: `<model_base>/<version>/saved_model.pb`; None if
            `options.models_config` says it.
        on_ready: called once when requests are answered.
        on_drain: called with the seconds that are left, at most, once probes
            say that no more requests are wanted.

    Raises:
        InputError: a port in use, or no model to serve.
    """
    limit_arenas()
    allow_connections()
    # Its `put` may be called by a signal in the midst of its `get`.
    signals: SimpleQueue[int] = SimpleQueue()
    with (
        stop_signals_to(lambda number, _: signals.put(number), (SIGHUP,)),
        running_server(model_base, options) as server,
    ):
        _log.info("gRPC %s, REST %s", server.grpc_address, server.rest_address)
        if on_ready:
            on_ready(server)
        while (number := signals.get()) == SIGHUP:
            _reread(server)
        drain_s = options.drain_s if options else ServerOptions.drain_s
        if number == SIGTERM and drain_s:
            server.drain()
            _log.info("answering on for %g s", drain_s)
            if on_drain:
                on_drain(drain_s)
            with suppress(Empty):
                signals.get(timeout=drain_s)


def _reread(server: RunningServer) -> None:
    try:
        server.reread()
    except (InputError, RequestError) as error:
        _log.error("SIGHUP: %s", error)
    else:
        _log.info("SIGHUP: the files have been read again")


def allow_connections() -> None:
    """Lets the process open as many files as the system lets it.

    Each connection is one; the usual limit is 1024, or 256 on macOS.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
