"""Prometheus metrics of the server, under TensorFlow Serving's names.

`:tensorflow:serving:request_count` and `request_latency` have its labels and
buckets (https://github.com/tensorflow/serving,
`servables/tensorflow/util.cc`); `tagforest_requests` tells versions and
signatures apart, which TensorFlow Serving does not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager

from grpc import StatusCode
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric

from serving.errors import from_exception

PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = CONTENT_TYPE_LATEST

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_BY_VERSION = "tagforest_requests"
# Microseconds.
_BUCKETS = tuple(10.0 * 1.8**k for k in range(33))


class Served:
    """What a request turned out to be; filled in while it is answered.

    Attributes:
        version: that answered; 0 for none.
        signature: of the model; empty for none.
    """

    def __init__(self) -> None:
        self.version = 0
        self.signature = ""


class RequestMetrics:
    """Counts and times requests.

    Args:
        models: names of the served models, which may change. Requests for
            others are counted together, or anybody could fill the memory with
            names.
    """

    def __init__(self, models: Container[str]):
        self._models = models
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._by_version: Counter[tuple[str, ...]] = Counter()
        disable_created_metrics()
        self._latency = Histogram(
            _LATENCY,
            "Microseconds of requests that were answered.",
            ["model_name", "API", "entrypoint"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._registry.register(self)

    @contextmanager
    def measure(
        self, model: str, api: str, entrypoint: str
    ) -> Iterator[Served]:
        """Counts and times what runs inside; exceptions go on.

        Args:
            model: name in the request.
            api: `Predict` and the like over gRPC, in small letters over REST.
            entrypoint: `GRPC` or `REST`.
        """
        start, served = time.perf_counter(), Served()
        code = StatusCode.OK
        try:
            yield served
        except Exception as error:
            code = from_exception(error).code
            raise
        finally:
            elapsed = time.perf_counter() - start
            name = model if model in self._models else ""
            self._count(name, served, code)
            if code is StatusCode.OK:
                timed = self._latency.labels(name, api, entrypoint)
                timed.observe(1e6 * elapsed)

    def page(self) -> bytes:
        """Returns all metrics as Prometheus reads them."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yields the counters, for the registry.

        The library's own would end with `_total`.
        """
        with self._lock:
            counts, by_version = dict(self._counts), dict(self._by_version)
        yield _metric(_COUNT, "Requests.", ("model_name", "status"), counts)
        labels = ("model_name", "version", "signature", "status")
        yield _metric(_BY_VERSION, "Requests by version.", labels, by_version)

    def _count(self, name: str, served: Served, code: StatusCode) -> None:
        version = str(served.version or "")
        with self._lock:
            self._counts[name, code.name] += 1
            self._by_version[name, version, served.signature, code.name] += 1


def _metric(name, help_text, labels, values) -> Metric:
    metric = Metric(name, help_text, "unknown")
    for key, value in sorted(values.items()):
        metric.add_sample(name, dict(zip(labels, key, strict=True)), value)
    return metric
