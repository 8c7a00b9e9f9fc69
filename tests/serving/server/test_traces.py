"""Tests of serving.server.traces, alone and behind a server."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import httpx
import numpy as np
import pytest
from grpc import StatusCode

from serving.api import contract, protos
from serving.api.errors import RequestError
from serving.api.server_options import ServerOptions
from serving.api.tensor_proto import to_proto
from serving.api.trace_options import TraceOptions
from serving.server import served
from serving.server.local_server import running_server
from serving.server.request_metrics import RequestMetrics
from serving.server.traces import Traces, opened
from tests.helpers.commands import python
from tests.helpers.images import noise_image

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{CALLER}-01"
NOT_SAMPLED = f"00-{TRACE}-{CALLER}-00"


@pytest.fixture
def sent():
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    return InMemorySpanExporter()


@pytest.fixture
def metrics(sent):
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    traces = Traces(SimpleSpanProcessor(sent))
    yield RequestMetrics({"dogs"}, traces=traces)
    traces.close()


@contextmanager
def asked_with(*headers):
    token = served.headers.set(lambda: headers)
    yield
    served.headers.reset(token)


def test_a_span_and_its_parts(metrics, sent):
    with asked_with(("Traceparent", SAMPLED), ("content-type", "x")):
        with metrics.measure("dogs", "Predict", "GRPC") as served:
            served.version, served.signature = 3, "scores"
            with served.running():
                time.sleep(0.02)
            served.queue_s, served.batch_rows = 0.005, 8
    queue, model, span = sent.get_finished_spans()
    assert (queue.name, model.name) == ("queue", "model")
    assert span.name == "tensorflow.serving.PredictionService/Predict"
    assert span.kind.name == "SERVER" and span.status.is_unset
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == CALLER
    assert dict(span.attributes) == {
        "tagforest.model": "dogs",
        "tagforest.version": 3,
        "tagforest.signature": "scores",
        "tagforest.status": "OK",
        "tagforest.batch_rows": 8,
        "tagforest.queue_ms": 5.0,
    }
    assert span.resource.attributes["service.name"] == "tagforest"
    for part in (queue, model):
        assert part.parent.span_id == span.context.span_id
        assert span.start_time <= part.start_time
        assert part.end_time <= span.end_time
    assert queue.end_time - queue.start_time == pytest.approx(5e6, abs=1000)
    assert queue.end_time == model.start_time
    assert model.end_time - model.start_time >= 14e6


@pytest.mark.parametrize(
    ("code", "is_fault"),
    [(StatusCode.UNAVAILABLE, True), (StatusCode.NOT_FOUND, False)],
)
def test_only_the_servers_faults_are_errors(metrics, sent, code, is_fault):
    with pytest.raises(RequestError):
        with metrics.measure("cats", "predict", "REST"):
            raise RequestError(code, "why")
    # It did not come to the model.
    [span] = sent.get_finished_spans()
    assert span.name == "POST /v1/models/{model}:predict"
    assert span.attributes["tagforest.model"] == ""
    assert span.attributes["tagforest.status"] == code.name
    assert (span.status.status_code.name == "ERROR") == is_fault


def test_the_caller_decides_what_is_sampled(metrics, sent):
    with asked_with(("traceparent", NOT_SAMPLED)):
        with metrics.measure("dogs", "Predict", "GRPC") as served:
            with served.running():
                pass
    assert sent.get_finished_spans() == ()


@pytest.mark.parametrize(
    "wrong", ["", "00", f"ff-{TRACE}-{CALLER}-01", "00-" + "0" * 32 + "-0-01"]
)
def test_a_wrong_parent_starts_a_trace(metrics, sent, wrong):
    with asked_with(("traceparent", wrong), ("x-bin", b"\xff")):
        with metrics.measure("dogs", "Predict", "GRPC"):
            pass
    [span] = sent.get_finished_spans()
    assert span.parent is None


def test_a_name_of_the_users(monkeypatch):
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
        InMemorySpanExporter,
    )

    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    sent = InMemorySpanExporter()
    traces = Traces(SimpleSpanProcessor(sent))
    with RequestMetrics({"dogs"}, traces=traces).measure("a", "b", "REST"):
        pass
    [span] = sent.get_finished_spans()
    assert span.resource.attributes["service.name"] == "mine"


_OFF = """
import sys
from serving.api.trace_options import TraceOptions
from serving.server import traces
from serving.server.request_metrics import RequestMetrics

with traces.opened(TraceOptions()) as found:
    assert found is None
    with RequestMetrics({"a"}, traces=found).measure("a", "Predict", "GRPC"):
        pass
print([name for name in sys.modules if "opentelemetry" in name])
"""


def test_off_imports_nothing():
    done = python("-c", _OFF)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_variables_turn_it_on_or_say_why_not(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with opened(TraceOptions()) as traces:
        assert traces is not None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with opened(TraceOptions()) as traces:
        assert traces is None
    assert "no traces: OTLP goes over http/json" in caplog.text


@pytest.fixture
def collector():
    """A collector's OTLP/HTTP: the address, and the spans that came."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            for resource in json.loads(body)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    spans.extend(scope["spans"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", spans
    server.shutdown()
    server.server_close()


def test_a_server_sends_spans_of_both_transports(model_base, collector):
    address, spans = collector
    traces = TraceOptions(endpoint=address)
    options = ServerOptions(grpc_port=0, rest_port=0, traces=traces)
    image = np.array([noise_image(0)], object)
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = contract.MODEL_NAME
    request.inputs[contract.IMAGE_BYTES].CopyFrom(to_proto(image))
    with running_server(model_base, options) as server:
        with grpc.insecure_channel(server.grpc_address) as channel:
            apis = protos.prediction_service_pb2_grpc
            stub = apis.PredictionServiceStub(channel)
            stub.Predict(request, metadata=[("traceparent", SAMPLED)])
        url = f"http://{server.rest_address}/v1/models/tagforest:predict"
        headers = {"TraceParent": SAMPLED}
        assert httpx.post(url, headers=headers, content="{").status_code == 400
    # The last ones are sent when the server stops.
    named = {span["name"]: span for span in spans}
    assert len(spans) == 4 and len(named) == 4
    for name in (
        "tensorflow.serving.PredictionService/Predict",
        "POST /v1/models/{model}:predict",
    ):
        assert named[name]["traceId"] == TRACE
        assert named[name]["parentSpanId"] == CALLER
    held = named["tensorflow.serving.PredictionService/Predict"]["attributes"]
    found = {a["key"]: [*a["value"].values()][0] for a in held}
    assert found["tagforest.signature"] == contract.TAGS
    assert int(found["tagforest.version"]) == 1
    assert int(found["tagforest.batch_rows"]) == 1


def test_no_collector_keeps_no_server(model_base):
    traces = TraceOptions(endpoint="http://127.0.0.1:9")
    options = ServerOptions(grpc_port=0, rest_port=0, traces=traces)
    with running_server(model_base, options) as server:
        url = f"http://{server.rest_address}/v1/models/tagforest:predict"
        assert httpx.post(url, content="{").status_code == 400
        start = time.monotonic()
    assert time.monotonic() - start < 20
