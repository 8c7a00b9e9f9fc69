"""Tests of serving.server.request_metrics, alone and behind a server."""

import sys
import time

import httpx
import pytest
from grpc import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from serving.api.errors import RequestError, invalid_argument
from serving.api.server_options import ServerOptions
from serving.client.tag_client import ClientOptions, ServerError, TagClient
from serving.server.local_server import running_server
from serving.server.request_metrics import PATH, RequestMetrics
from serving.server.served import current
from tests.helpers.images import noise_image

COUNT = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"
RUNTIME = ":tensorflow:serving:runtime_latency"
WARMED_UP = ":tensorflow:serving:model_warmup_records_read"


def samples(page: bytes) -> dict:
    """Returns the values by name and labels."""
    families = text_string_to_metric_families(page.decode())
    # The parser names counters as OpenMetrics has them.
    listed = page.decode().splitlines()
    return {
        (_as_listed(s.name, listed), *sorted(s.labels.items())): s.value
        for family in families
        for s in family.samples
    }


def _as_listed(name: str, listed: list[str]) -> str:
    short = name.removesuffix("_total")
    return short if f"# TYPE {short} counter" in listed else name


def test_counts_and_times():
    metrics = RequestMetrics({"dogs"})
    with metrics.measure("dogs", "Predict", "GRPC") as served:
        served.version, served.signature = 3, "scores"
    for error in (invalid_argument("x"), KeyError("x")):
        with pytest.raises(type(error)):
            with metrics.measure("dogs", "predict", "REST"):
                raise error
    found = samples(metrics.page())
    for status in ("OK", "INVALID_ARGUMENT", "INTERNAL"):
        labels = (("model_name", "dogs"), ("status", status))
        assert found[(COUNT, *labels)] == 1
    by_version = (
        *(("model_name", "dogs"), ("signature", "scores")),
        *(("status", "OK"), ("version", "3")),
    )
    assert found[("tagforest_requests", *by_version)] == 1
    timed = {k: v for k, v in found.items() if k[0] == f"{LATENCY}_count"}
    labels = (("API", "Predict"), ("entrypoint", "GRPC"))
    assert timed == {(f"{LATENCY}_count", *labels, ("model_name", "dogs")): 1}
    bounds = [dict(k[1:])["le"] for k in found if k[0] == f"{LATENCY}_bucket"]
    assert len(bounds) == 34 and "18.0" in bounds and "+Inf" in bounds


def test_the_models_work_examples_and_warm_up():
    metrics = RequestMetrics({"dogs"})
    with metrics.measure("dogs", "classify", "REST"):
        current().examples = 3
        with current().running():
            pass
        current().runtime_s = 20e-6
    current().examples = 5  # nobody's
    metrics.warmed_up("/m/1", 0.001, 10, "OK")
    metrics.warmed_up("/m/2", 0.001, 0, "INVALID_ARGUMENT")
    found = samples(metrics.page())
    prefix = ":tensorflow:serving:"
    run = (("API", "Classify"), ("model_name", "dogs"), ("runtime", "TF1"))
    assert found[(f"{prefix}runtime_latency_sum", *run)] == 20.0
    model = (("model", "dogs"),)
    assert found[(f"{prefix}request_example_counts_sum", *model)] == 3
    bucket = (("le", "4.0"), ("model", "dogs"))
    assert found[(f"{prefix}request_example_counts_bucket", *bucket)] == 1
    assert found[(f"{prefix}request_example_count_total", *model)] == 3
    for path, status in (("/m/1", "OK"), ("/m/2", "INVALID_ARGUMENT")):
        labels = (("model_path", path), ("status", status))
        assert found[(f"{prefix}model_warmup_latency_sum", *labels)] == 1000.0
    read = f"{prefix}model_warmup_records_read"
    assert found[(read, ("model_path", "/m/1"))] == 10


def test_types_are_those_of_tensorflow_serving():
    metrics = RequestMetrics({"dogs"})
    with metrics.measure("dogs", "Predict", "GRPC"):
        pass
    metrics.warmed_up("/m/1", 0.001, 10, "OK")
    lines = metrics.page().decode().splitlines()
    assert f"# TYPE {COUNT} counter" in lines
    assert f'{COUNT}{{model_name="dogs",status="OK"}} 1.0' in lines
    total = ":tensorflow:serving:request_example_count_total"
    assert f"# TYPE {total} counter" in lines
    assert f"# TYPE {WARMED_UP} counter" in lines
    assert not [x for x in lines if "untyped" in x or "_total_total" in x]
    if sys.platform == "linux":
        [rss] = [x for x in lines if x.startswith("process_resident")]
        assert float(rss.split()[1]) > 1e6


def test_names_of_strangers_are_counted_together():
    metrics = RequestMetrics({"dogs"})
    for number in range(100):
        with pytest.raises(RequestError):
            with metrics.measure(f"cats{number}", "Predict", "GRPC"):
                raise RequestError(StatusCode.NOT_FOUND, "")
    labels = (("model_name", ""), ("status", "NOT_FOUND"))
    found = samples(metrics.page())
    assert found[(COUNT, *labels)] == 100
    assert len([k for k in found if k[0] == COUNT]) == 1


def test_a_server_reports_both_transports_and_is_ready(model_base):
    options = ServerOptions(grpc_port=0, rest_port=0)
    with running_server(model_base, options) as server:
        web = httpx.Client(base_url=f"http://{server.rest_address}")
        assert web.get("/livez").status_code == 200
        assert web.get("/readyz").text == "ready\n"
        for address, kind in (
            (server.grpc_address, "grpc"),
            (server.rest_address, "rest"),
        ):
            with TagClient(address, kind) as client:
                client.tag([noise_image(1)])
            with TagClient(
                address, kind, ClientOptions(model="cats")
            ) as client:
                with pytest.raises(ServerError):
                    client.tag([noise_image(1)])
        reply = web.get(PATH)
        assert reply.headers["content-type"].startswith("text/plain")
        found = samples(reply.content)
        ok = (("model_name", "tagforest"), ("status", "OK"))
        assert found[(COUNT, *ok)] == 2
        missing = (("model_name", ""), ("status", "NOT_FOUND"))
        assert found[(COUNT, *missing)] == 2
        for api, entrypoint in (("Predict", "GRPC"), ("predict", "REST")):
            labels = (("API", api), ("entrypoint", entrypoint))
            key = (f"{LATENCY}_sum", *labels, ("model_name", "tagforest"))
            assert found[key] > 0
        run = (("API", "Predict"), ("model_name", "tagforest"))
        key = (f"{RUNTIME}_count", *run, ("runtime", "TF1"))
        assert found[key] == 2
        records = {v for k, v in found.items() if k[0] == WARMED_UP}
        assert records == {10}
        # A POST, and anything else, is TensorFlow Serving's 404.
        assert web.post("/readyz").status_code == 404
        assert web.get("/metrics").status_code == 404


def test_readiness_follows_the_model(model_base, tmp_path):
    from shutil import copytree, rmtree

    base = copytree(model_base, tmp_path / "tagforest")
    options = ServerOptions(grpc_port=0, rest_port=0, poll_s=0.05)
    with running_server(base, options) as server:
        web = httpx.Client(base_url=f"http://{server.rest_address}")
        assert web.get("/readyz").status_code == 200
        rmtree(base / "1")
        for _ in range(200):
            if not server.versions.is_ready:
                break
            time.sleep(0.05)
        assert web.get("/readyz").status_code == 503
        assert web.get("/livez").status_code == 200
