"""Which gRPC calls are taken, and which threads they get."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection

from serving.server.request_metrics import RequestMetrics

_THREADS = 64  # Most of them wait for the model, in its queue.
_OWN_THREADS = 8
# A client that only holds its stream of questions does so no longer.
_REFLECTION_S = 30.0
_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"
_CHECK = f"/{health.SERVICE_NAME}/Check"
_REFLECTION = f"/{reflection.SERVICE_NAME}/"
_HEALTH = f"/{health.SERVICE_NAME}/"


class Threads(ThreadPoolExecutor):
    """A pool that knows how many calls it has.

    Attributes:
        calls: that run or wait for a thread; the messages of those that wait
            are not read yet.
    """

    def __init__(self, count: int, name: str):
        super().__init__(count, thread_name_prefix=name)
        self.calls = 0
        self._counting = threading.Lock()

    def submit(self, function, /, *args, **kwargs):
        """Counts a call until it has ended."""
        self._add(1)
        future = super().submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._add(-1))
        return future

    def _add(self, count: int) -> None:
        with self._counting:
            self.calls += count


class Gate(grpc.ServerInterceptor):
    """Refuses calls that are too many, and has those of probes always pass.

    gRPC's own limit, `maximum_concurrent_rpcs`, answers RESOURCE_EXHAUSTED,
    which clients do not try again, and counts for all services together.

    Args:
        most_calls: that run or wait.

    Attributes:
        threads: where calls run, unless they are refused or of probes.
        is_closed: every call is refused.
    """

    def __init__(self, most_calls: int, metrics: RequestMetrics):
        self.threads = Threads(_THREADS, "grpc")
        self.is_closed = False
        self._most_calls = most_calls
        self._metrics = metrics
        # A call is answered in threads of its own where others may be taken.
        self._own = Threads(_OWN_THREADS, "grpc-refused")
        self._of_probes = Threads(_OWN_THREADS, "grpc-probe")
        self._of_reflection = Threads(_OWN_THREADS, "grpc-reflection")

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns what answers a call; called before its message is read."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            return None  # UNIMPLEMENTED
        if method in (_CHECK, _STATUS):
            return self._probe(handler)
        if method.startswith(_REFLECTION):
            return self._stream(handler)
        # `Watch` needs no thread while nothing changes.
        if method.startswith(_HEALTH):
            return handler
        if self.is_closed:
            return self._refusal(
                "stopping", "the server is shutting down: ask another one"
            )
        if self.threads.calls >= self._most_calls:
            return self._refusal(
                "requests", f"{self._most_calls} requests wait: try again"
            )
        return handler

    def _refusal(self, reason: str, message: str) -> Any:
        def refuse(requests, context):
            self._metrics.refused("GRPC", reason)
            context.abort(grpc.StatusCode.UNAVAILABLE, message)

        # A stream of requests, of which none is read.
        return grpc.stream_unary_rpc_method_handler(_in(self._own, refuse))

    def _probe(self, handler: Any) -> Any:
        def answer(request, context):
            return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            _in(self._of_probes, answer),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _stream(self, handler: Any) -> Any:
        def answer(requests, context):
            ending = threading.Timer(_REFLECTION_S, context.cancel)
            ending.daemon = True
            ending.start()
            try:
                yield from handler.stream_stream(requests, context)
            finally:
                ending.cancel()

        return grpc.stream_stream_rpc_method_handler(
            _in(self._of_reflection, answer),
            handler.request_deserializer,
            handler.response_serializer,
        )


def _in(threads: Threads, behaviour: Callable) -> Callable:
    """Has gRPC run a behaviour in other threads than the server's."""
    # As `grpc_health` does for `Watch`.
    behaviour.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return behaviour
