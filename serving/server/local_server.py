"""A local server that speaks TensorFlow Serving's Predict API.

For development, tests and small deployments; TensorFlow Serving serves the
same SavedModel in production.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from beam_jobs.stop_signals import stop_signals_to
from serving.api.models_config import served_models
from serving.api.server_options import ServerOptions
from serving.api.sockets import bind
from serving.server.batching_file import with_batching
from serving.server.grpc_server import GrpcServer
from serving.server.model_registry import ModelRegistry
from serving.server.reload import watching
from serving.server.request_metrics import RequestMetrics
from serving.server.rest_server import RestServer
from serving.server.tls import load_tls

_log = logging.getLogger(__name__)


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

    Raises:
        InputError: a port in use (found before the model is loaded), or no
            model to serve.
    """
    options = with_batching(options or ServerOptions())
    tls = load_tls(options.tls)
    # There is no request, and no warm-up, before it starts below.
    versions = ModelRegistry(
        served_models(model_base, options),
        options,
        lambda *done: metrics.warmed_up(*done),
    )
    metrics = RequestMetrics(versions)
    with ExitStack() as stack:
        # gRPC listens as soon as it has its port, so it takes it last; until
        # then a plain socket keeps others away.
        held = bind(options.host, options.grpc_port, "gRPC")
        stack.callback(held.close)
        where = options.host, options.rest_port
        rest = RestServer(versions, metrics, *where, options.rest, tls)
        stack.callback(rest.stop, options.grace_s)
        versions.start()
        stack.callback(versions.close)
        held.close()
        where = options.host, options.grpc_port
        grpc_server = GrpcServer(versions, metrics, *where, tls)
        stack.callback(grpc_server.stop, options.grace_s)
        grpc_server.start()
        rest.start()
        if file := options.models_config:
            poll_s = options.models_config_poll_s
            stack.enter_context(watching(file, versions, poll_s))
        name = next(iter(versions.names), "")
        ports = grpc_server.port, rest.port
        yield RunningServer(name, options.host, *ports, versions)
        # What the stack then does again changes nothing; it is for errors.
        _stop_together(rest, grpc_server, options.grace_s)


def _stop_together(
    rest: RestServer, grpc_server: GrpcServer, grace_s: float
) -> None:
    # At once: one after the other, they would take the grace twice.
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
        on_ready: called once when requests are answered.

    Raises:
        InputError: a port in use, or no model to serve.
    """
    limit_arenas()
    stop = threading.Event()
    with (
        stop_signals_to(lambda *_: stop.set()),
        running_server(model_base, options) as server,
    ):
        _log.info("gRPC %s, REST %s", server.grpc_address, server.rest_address)
        if on_ready:
            on_ready(server)
        stop.wait()


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
