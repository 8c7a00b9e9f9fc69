"""Metrics by model, version and signature, which TensorFlow Serving lacks.

    tagforest_requests            counter, also by status
    tagforest_request_seconds     histogram, of those that were answered
    tagforest_queue_seconds       histogram, until the model ran a request
    tagforest_batch_rows          histogram, rows that were put together
    tagforest_requests_in_flight  gauge
    tagforest_refused             counter, by entrypoint and reason

Names are those of served models and of their signatures, others are empty: a
stranger cannot fill the memory with them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from grpc import StatusCode
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import Metric

if TYPE_CHECKING:
    from serving.server.served import Served

_LABELS = ("model_name", "version", "signature")
_SECONDS = tuple(m * 10.0**e for e in range(-4, 2) for m in (1, 2, 5))
_ROWS = tuple(2.0**k for k in range(9))
# What a server with too much to do answers; the client may try again.
_REFUSALS = (StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED)

Key = tuple[str, ...]


class VersionMetrics:
    """Counts and times requests by what answered them.

    Attributes:
        connections: entrypoint -> tells how many are open.
    """

    def __init__(self, registry: CollectorRegistry):
        self.connections: dict[str, Callable[[], int]] = {}
        self._lock = threading.Lock()
        self._requests: Counter[Key] = Counter()
        self._refused: Counter[Key] = Counter()
        self._live: dict[int, tuple[str, Served]] = {}

        def histogram(name, text, buckets) -> Histogram:
            return Histogram(
                name, text, _LABELS, buckets=buckets, registry=registry
            )

        self._seconds = histogram(
            "tagforest_request_seconds", "Of requests answered.", _SECONDS
        )
        self._queue = histogram(
            "tagforest_queue_seconds", "Until the model ran them.", _SECONDS
        )
        self._batches = histogram(
            "tagforest_batch_rows", "Rows put together for the model.", _ROWS
        )
        registry.register(self)

    def begin(self, name: str, served: Served) -> None:
        """Notes that a request for a served model, or "", is in flight."""
        self._live[id(served)] = name, served

    def end(
        self,
        name: str,
        served: Served,
        code: StatusCode,
        entrypoint: str,
        seconds: float,
    ) -> None:
        """Notes how a request ended that `begin` was told of."""
        self._live.pop(id(served), None)
        key = _key(name, served)
        with self._lock:
            self._requests[key + (code.name,)] += 1
            if code in _REFUSALS:
                self._refused[key + (entrypoint, code.name.lower())] += 1
        if code is StatusCode.OK:
            self._seconds.labels(*key).observe(seconds)
        if served.queue_s is not None:
            self._queue.labels(*key).observe(served.queue_s)
        for rows in served.batches:
            self._batches.labels(*key).observe(rows)

    def refused(self, entrypoint: str, reason: str) -> None:
        """Counts a request that was turned away before it was read."""
        with self._lock:
            self._refused["", "", "", entrypoint, reason] += 1

    def collect(self) -> Iterator[Metric]:
        """Yields counters and gauges, for the registry."""
        with self._lock:
            requests, refused = dict(self._requests), dict(self._refused)
        # What has been asked for stays listed, with none in flight.
        in_flight = Counter(dict.fromkeys((key[:3] for key in requests), 0))
        in_flight.update(_key(*live) for live in list(self._live.values()))
        open_now = {(k,): count() for k, count in self.connections.items()}
        status = (*_LABELS, "status")
        reason = (*_LABELS, "entrypoint", "reason")
        yield counter("tagforest_requests", "Requests.", status, requests)
        yield counter("tagforest_refused", "Too many.", reason, refused)
        yield _gauge("requests_in_flight", "Requests.", _LABELS, in_flight)
        yield _gauge("connections", "Open.", ("entrypoint",), open_now)


def _key(name: str, served: Served) -> Key:
    return name, str(served.version or ""), served.signature


def counter(
    name: str, text: str, labels: Key, values: Mapping[Any, float]
) -> Metric:
    """Returns a counter of exactly this name.

    It has no type yet: the library's own would end with `_total`, which
    TensorFlow Serving's do not. `RequestMetrics.page` says the type.
    """
    return _filled(Metric(name, text, "unknown"), labels, values)


def _gauge(
    name: str, text: str, labels: Key, values: Mapping[Any, float]
) -> Metric:
    return _filled(Metric(f"tagforest_{name}", text, "gauge"), labels, values)


def _filled(metric: Metric, labels: Key, values: Mapping[Any, float]) -> Metric:
    for key, value in sorted(values.items()):
        metric.add_sample(
            metric.name, dict(zip(labels, key, strict=True)), value
        )
    return metric
