"""Prometheus metrics of the server, under TensorFlow Serving's names.

`:tensorflow:serving:request_count` and `request_latency` have its labels and
buckets (https://github.com/tensorflow/serving,
`servables/tensorflow/util.cc`), and so have `runtime_latency`,
`request_example_counts` and the two of the warm-up; `tagforest_requests` tells
versions and signatures apart, which TensorFlow Serving does not.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from grpc import StatusCode
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric

from serving.api.errors import from_exception

PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = CONTENT_TYPE_LATEST

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_RUNTIME = ":tensorflow:serving:runtime_latency"
_EXAMPLES = ":tensorflow:serving:request_example_counts"
_EXAMPLES_TOTAL = ":tensorflow:serving:request_example_count_total"
_WARM_UP = ":tensorflow:serving:model_warmup_latency"
_WARM_UP_RECORDS = ":tensorflow:serving:model_warmup_records_read"
_BY_VERSION = "tagforest_requests"
# Microseconds.
_BUCKETS = tuple(10.0 * 1.8**k for k in range(33))
_EXAMPLE_BUCKETS = tuple(2.0**k for k in range(15))
_APIS = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}


class Served:
    """What a request turned out to be; filled in while it is answered.

    Attributes:
        version: that answered; 0 for none.
        signature: of the model; empty for none.
        runtime_s: seconds in the model and its queue.
        examples: `tf.Example`s of Classify and the like.
    """

    def __init__(self) -> None:
        self.version = 0
        self.signature = ""
        self.runtime_s = 0.0
        self.examples = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Times what runs inside as the model's work."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.runtime_s += time.perf_counter() - start


# Each thread has its own, so no call has to hand it through.
_serving: ContextVar[Served] = ContextVar("serving")


def current() -> Served:
    """Returns the request that this thread answers; a new one if none is."""
    return _serving.get(None) or Served()


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
        self._examples_total: Counter[tuple[str, ...]] = Counter()
        self._records: Counter[tuple[str, ...]] = Counter()
        # prometheus_client would add a `_created` to each histogram.
        disable_created_metrics()
        self._latency = self._histogram(
            _LATENCY,
            "Microseconds of requests that were answered.",
            ["model_name", "API", "entrypoint"],
        )
        self._runtime = self._histogram(
            _RUNTIME,
            "Microseconds in the model and its queue.",
            ["model_name", "API", "runtime"],
        )
        self._examples = self._histogram(
            _EXAMPLES, "Examples of a request.", ["model"], _EXAMPLE_BUCKETS
        )
        self._warm_up = self._histogram(
            _WARM_UP,
            "Microseconds of all warm-up requests of a version.",
            ["model_path", "status"],
        )
        self._registry.register(self)

    def _histogram(self, name, text, labels, buckets=_BUCKETS) -> Histogram:
        return Histogram(
            name, text, labels, buckets=buckets, registry=self._registry
        )

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
        token = _serving.set(served)
        try:
            yield served
        except Exception as error:
            code = from_exception(error).code
            raise
        finally:
            _serving.reset(token)
            elapsed = time.perf_counter() - start
            name = model if model in self._models else ""
            self._count(name, served, code)
            # As in TensorFlow Serving: errors would make it look fast.
            if code is StatusCode.OK:
                timed = self._latency.labels(name, api, entrypoint)
                timed.observe(1e6 * elapsed)
                self._observe_run(name, _APIS.get(api, api), served)

    def warmed_up(
        self, path: str, seconds: float, records: int, status: str
    ) -> None:
        """Notes that a version was warmed up, or could not be.

        Args:
            records: requests that were replayed.
            status: name of a gRPC code.
        """
        self._warm_up.labels(path, status).observe(1e6 * seconds)
        with self._lock:
            self._records[(path,)] += records

    def _observe_run(self, name: str, api: str, served: Served) -> None:
        # Its name for a session, in which `Servable` runs the graph, too.
        timed = self._runtime.labels(name, api, "TF1")
        timed.observe(1e6 * served.runtime_s)
        if served.examples:
            self._examples.labels(name).observe(served.examples)
            with self._lock:
                self._examples_total[(name,)] += served.examples

    def page(self) -> bytes:
        """Returns all metrics as Prometheus reads them."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yields the counters, for the registry.

        The library's own would end with `_total`.
        """
        with self._lock:
            counts, by_version = dict(self._counts), dict(self._by_version)
            examples = dict(self._examples_total)
            records = dict(self._records)
        yield _metric(_COUNT, "Requests.", ("model_name", "status"), counts)
        labels = ("model_name", "version", "signature", "status")
        yield _metric(_BY_VERSION, "Requests by version.", labels, by_version)
        yield _metric(_EXAMPLES_TOTAL, "Examples.", ("model",), examples)
        text = "Warm-up requests that were replayed."
        yield _metric(_WARM_UP_RECORDS, text, ("model_path",), records)

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
