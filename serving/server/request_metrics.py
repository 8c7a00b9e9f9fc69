"""Prometheus metrics of the server, under TensorFlow Serving's names.

`:tensorflow:serving:request_count` and `request_latency` have its labels and
buckets (https://github.com/tensorflow/serving,
`servables/tensorflow/util.cc`), and so have `runtime_latency`,
`request_example_counts` and the two of the warm-up; `version_metrics` has what
tells versions and signatures apart, `tagforest_request_log` counts what became
of the requests to be logged, and on Linux `process_resident_memory_bytes` and
the like tell of the process.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from grpc import StatusCode
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import Metric

from serving.api.errors import from_exception
from serving.server.request_logs import RequestLogs
from serving.server.served import Served, headers, serving
from serving.server.traces import Traces
from serving.server.version_metrics import VersionMetrics, counter

PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = CONTENT_TYPE_LATEST

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_RUNTIME = ":tensorflow:serving:runtime_latency"
_EXAMPLES = ":tensorflow:serving:request_example_counts"
_EXAMPLES_TOTAL = ":tensorflow:serving:request_example_count_total"
_WARM_UP = ":tensorflow:serving:model_warmup_latency"
_WARM_UP_RECORDS = ":tensorflow:serving:model_warmup_records_read"
_LOGGED = "tagforest_request_log"
# Microseconds.
_BUCKETS = tuple(10.0 * 1.8**k for k in range(33))
_EXAMPLE_BUCKETS = tuple(2.0**k for k in range(15))
_APIS = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}


class RequestMetrics:
    """Counts and times requests.

    Args:
        models: names of the served models, which may change. Requests for
            others are counted together, or anybody could fill the memory with
            names.
        logs: a sample of the requests is put there.
        traces: makes a span of each.

    Attributes:
        refused: counts a request that reached no handler, given the entrypoint
            (`GRPC`, `REST`) and the reason, a word of few.
        connections: entrypoint -> tells how many are open.
    """

    def __init__(
        self,
        models: Container[str],
        logs: RequestLogs | None = None,
        traces: Traces | None = None,
    ):
        self._models = models
        self._traces = traces
        self._logs = logs
        self._registry = CollectorRegistry()
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
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
        self._versions = VersionMetrics(self._registry)
        self.refused = self._versions.refused
        self.connections = self._versions.connections
        ProcessCollector(registry=self._registry)

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
        start = time.perf_counter()
        served = Served(self._logs.draw(model) if self._logs else None)
        code = StatusCode.OK
        name = model if model in self._models else ""
        self._versions.begin(name, served)
        token = serving.set(served)
        try:
            yield served
        except Exception as error:
            code = from_exception(error).code
            raise
        finally:
            serving.reset(token)
            seconds = time.perf_counter() - start
            self._versions.end(name, served, code, entrypoint, seconds)
            self._count(name, api, entrypoint, served, code, seconds)
            if self._traces:
                where = name, api, entrypoint
                sent = headers.get()()
                told = served, code, start, seconds
                self._traces.record(sent, where, *told)
            if served.entry is not None:
                entry = served.entry
                entry.facts = _facts(name, api, entrypoint, served, code)
                # As the clock says when it came: it may be set meanwhile.
                entry.facts["time"] = round(time.time() - seconds, 3)
                entry.facts["ms"] = round(1e3 * seconds, 3)
                entry.put()

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
        # See `counter`: all that has no type is one.
        text = generate_latest(self._registry)
        return re.sub(rb"(?m)^(# TYPE \S+) untyped$", rb"\1 counter", text)

    def collect(self) -> Iterator[Metric]:
        """Yields the counters, for the registry.

        The library's own would end with `_total`.
        """
        with self._lock:
            counts = dict(self._counts)
            examples = dict(self._examples_total)
            records = dict(self._records)
        yield counter(_COUNT, "Requests.", ("model_name", "status"), counts)
        if self._logs:
            logged = {(k,): v for k, v in self._logs.counts.items()}
            text = "Requests of the request log's sample."
            yield counter(_LOGGED, text, ("result",), logged)
        yield counter(_EXAMPLES_TOTAL, "Examples.", ("model",), examples)
        text = "Warm-up requests that were replayed."
        yield counter(_WARM_UP_RECORDS, text, ("model_path",), records)

    def _count(
        self,
        name: str,
        api: str,
        entrypoint: str,
        served: Served,
        code: StatusCode,
        seconds: float,
    ) -> None:
        with self._lock:
            self._counts[name, code.name] += 1
        # As in TensorFlow Serving: errors would make it look fast.
        if code is StatusCode.OK:
            self._latency.labels(name, api, entrypoint).observe(1e6 * seconds)
            self._observe_run(name, _APIS.get(api, api), served)


def _facts(
    name: str, api: str, entrypoint: str, served: Served, code: StatusCode
) -> dict[str, Any]:
    return {
        "model": name,
        "version": served.version or None,
        "signature": served.signature,
        "api": _APIS.get(api, api),
        "entrypoint": entrypoint,
        "status": code.name,
    }
