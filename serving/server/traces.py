"""A span of each request, for OpenTelemetry; imported only where one is wanted.

The caller's `traceparent` is its parent (https://www.w3.org/TR/trace-context/),
and the queue and the model's run are its children. All three are made when the
request has ended and all is known of it: nothing is open meanwhile that its
thread would have to carry.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from grpc import StatusCode

from serving.api.trace_options import TraceOptions, asked_by, why_not

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

    from serving.server.served import Headers, Served

_log = logging.getLogger(__name__)

SERVICE = "tagforest"
# The server's own faults; who asks for what is not there is at fault himself:
# https://opentelemetry.io/docs/specs/semconv/rpc/grpc/
_FAULTS = {
    *(StatusCode.UNKNOWN, StatusCode.DEADLINE_EXCEEDED),
    *(StatusCode.UNIMPLEMENTED, StatusCode.INTERNAL),
    *(StatusCode.UNAVAILABLE, StatusCode.DATA_LOSS),
}
_NAMES = {
    "GRPC": "tensorflow.serving.PredictionService/{}",
    "REST": "POST /v1/models/{{model}}:{}",
}


class Traces:
    """Makes the spans.

    Args:
        processor: gets them.
    """

    def __init__(self, processor: SpanProcessor):
        from opentelemetry import propagate, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        self._trace, self._propagate = trace, propagate
        named = os.environ.get("OTEL_SERVICE_NAME") or (
            "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        )
        resource = Resource.create({} if named else {"service.name": SERVICE})
        # Not everybody's: libraries of Google's make spans where there is one.
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("tagforest.serving")

    def record(
        self,
        headers: Headers,
        where: tuple[str, str, str],
        served: Served,
        code: StatusCode,
        start: float,
        seconds: float,
    ) -> None:
        """Makes the spans of a request that has just ended.

        Args:
            headers: of the request, or its metadata.
            where: name of the model, or "", API and entrypoint.
            start: on the clock of `time.perf_counter`.
            seconds: that it took.
        """
        model, api, entrypoint = where
        began = time.time_ns() - _ns(time.perf_counter() - start)
        end = began + _ns(seconds)
        parent = self._propagate.extract({k.lower(): v for k, v in headers})
        span = self._tracer.start_span(
            _NAMES[entrypoint].format(api),
            parent,
            self._trace.SpanKind.SERVER,
            _attributes(model, served, code),
            start_time=began,
        )
        if code in _FAULTS:
            span.set_status(self._trace.StatusCode.ERROR, code.name)
        if span.is_recording() and served.began is not None:
            context = self._trace.set_span_in_context(span, parent)
            queued = began + _ns(served.began - start)
            ran = queued + _ns(served.queue_s or 0)
            self._add("queue", context, queued, ran)
            self._add("model", context, ran, queued + _ns(served.runtime_s))
        span.end(end)

    def _add(self, name: str, context, start: int, end: int) -> None:
        span = self._tracer.start_span(name, context, start_time=start)
        span.end(max(start, end))

    def close(self) -> None:
        """Sends what waits."""
        self._provider.shutdown()


def _attributes(
    model: str, served: Served, code: StatusCode
) -> dict[str, str | int | float]:
    queue_ms = round(1e3 * (served.queue_s or 0), 3)
    return {
        "tagforest.model": model,
        "tagforest.version": served.version,
        "tagforest.signature": served.signature,
        "tagforest.status": code.name,
        "tagforest.batch_rows": served.batch_rows,
        "tagforest.queue_ms": queue_ms,
    }


def _ns(seconds: float) -> int:
    return int(1e9 * seconds)


@contextmanager
def opened(options: TraceOptions) -> Iterator[Traces | None]:
    """Yields what makes spans, if some are wanted, and sends the last ones."""
    if options.endpoint is None and not _asked():
        yield None
        return
    from opentelemetry.exporter.otlp.json.http import trace_exporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # Without an endpoint it reads the variables, as for all else.
    exporter = trace_exporter.OTLPSpanExporter(options.url)
    traces = Traces(BatchSpanProcessor(exporter))
    try:
        yield traces
    finally:
        traces.close()


def _asked() -> bool:
    if not asked_by(os.environ):
        return False
    # They may be meant for others: no reason not to serve.
    if reason := why_not(os.environ):
        _log.warning("no traces: %s", reason)
    return not reason
