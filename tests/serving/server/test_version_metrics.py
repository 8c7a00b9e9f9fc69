"""Tests of serving.server.version_metrics, alone and behind a server."""

import threading

import httpx
import numpy as np
import pytest
from grpc import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from serving.api import contract
from serving.api.errors import RequestError
from serving.api.server_options import BatchingOptions, ServerOptions
from serving.client.tag_client import ClientOptions, ServerError, TagClient
from serving.server.batching import Batcher
from serving.server.local_server import running_server
from serving.server.request_metrics import PATH, RequestMetrics
from serving.server.served import current
from tests.helpers.images import noise_image
from tests.helpers.waiting import wait_until

DOGS = {"model_name": "dogs", "version": "3", "signature": "scores"}


def values(page: str, name: str, **labels: str) -> list[float]:
    """Returns the values of a sample with these labels, and maybe others."""
    return [
        s.value
        for family in text_string_to_metric_families(page)
        for s in family.samples
        if s.name in (name, f"{name}_total")
        if labels.items() <= s.labels.items()
    ]


@pytest.fixture
def metrics():
    return RequestMetrics({"dogs"})


def answer(metrics: RequestMetrics, **found) -> None:
    with metrics.measure("dogs", "Predict", "GRPC") as served:
        served.version, served.signature = 3, "scores"
        for name, value in found.items():
            setattr(served, name, value)


def test_queue_batches_and_time(metrics):
    answer(metrics, queue_s=0.003, batches=[4, 8])
    answer(metrics, queue_s=0.5)
    answer(metrics)
    page = metrics.page().decode()
    assert values(page, "tagforest_request_seconds_count", **DOGS) == [3]
    assert values(page, "tagforest_queue_seconds_count", **DOGS) == [2]
    assert values(page, "tagforest_queue_seconds_sum", **DOGS) == [0.503]
    for le, count in (("0.002", 0), ("0.005", 1), ("0.5", 2)):
        found = values(page, "tagforest_queue_seconds_bucket", le=le, **DOGS)
        assert found == [count]
    assert values(page, "tagforest_batch_rows_sum", **DOGS) == [12]
    assert values(page, "tagforest_batch_rows_count", **DOGS) == [2]


def test_what_is_in_flight(metrics):
    name = "tagforest_requests_in_flight"
    with metrics.measure("dogs", "Predict", "GRPC") as served:
        assert values(metrics.page().decode(), name) == [1]
        served.version, served.signature = 3, "scores"
        assert values(metrics.page().decode(), name, **DOGS) == [1]
    assert values(metrics.page().decode(), name, **DOGS) == [0]


def test_what_is_refused(metrics):
    for code in (StatusCode.UNAVAILABLE, StatusCode.NOT_FOUND):
        with pytest.raises(RequestError):
            with metrics.measure("dogs", "Predict", "GRPC") as served:
                served.version, served.signature = 3, "scores"
                raise RequestError(code, "")
    for _ in range(3):
        metrics.refused("REST", "connections")
    page, name = metrics.page().decode(), "tagforest_refused"
    assert values(page, name, reason="unavailable", **DOGS) == [1]
    elsewhere = {"entrypoint": "REST", "reason": "connections"}
    assert values(page, name, model_name="", **elsewhere) == [3]
    assert len(values(page, name)) == 2
    assert values(page, "tagforest_request_seconds_count") == []


def test_open_connections(metrics):
    metrics.connections["REST"] = lambda: 7
    page = metrics.page().decode()
    assert values(page, "tagforest_connections", entrypoint="REST") == [7]


def test_a_batch_is_told_once_and_each_request_waits(metrics):
    """Three requests come while the model is busy with the first."""
    busy, go = threading.Event(), threading.Event()

    def run(inputs):
        busy.set()
        assert go.wait(60)
        return inputs

    batcher = Batcher(run, BatchingOptions())

    def ask() -> None:
        with metrics.measure("dogs", "Predict", "GRPC") as served:
            served.version, served.signature = 3, "scores"
            batcher.submit({"x": np.zeros(2)})
            assert current() is served and served.batch_rows in (2, 6)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    askers[0].start()
    assert busy.wait(60)
    for asker in askers[1:]:
        asker.start()
    wait_until(lambda: len(batcher._waiting) == 3)
    go.set()
    for asker in askers:
        asker.join()
    page = metrics.page().decode()
    assert values(page, "tagforest_batch_rows_sum", **DOGS) == [8]
    assert values(page, "tagforest_batch_rows_count", **DOGS) == [2]
    assert values(page, "tagforest_queue_seconds_count", **DOGS) == [4]


def test_a_server_knows_only_what_it_serves(model_base):
    options = ServerOptions(grpc_port=0, rest_port=0)
    with running_server(model_base, options) as server:
        for address, kind in (
            (server.grpc_address, "grpc"),
            (server.rest_address, "rest"),
        ):
            with TagClient(address, kind) as client:
                client.tag([noise_image(n) for n in range(3)])
            for model in ("cats", "birds"):
                strange = ClientOptions(model=model)
                with TagClient(address, kind, strange) as client:
                    with pytest.raises(ServerError):
                        client.tag([noise_image(1)])
        page = httpx.get(f"http://{server.rest_address}{PATH}").text
    tags = {
        "model_name": contract.MODEL_NAME,
        "version": "1",
        "signature": contract.TAGS,
    }
    assert values(page, "tagforest_requests", status="OK", **tags) == [2]
    assert values(page, "tagforest_requests", status="NOT_FOUND") == [4]
    assert values(page, "tagforest_batch_rows_sum", **tags) == [6]
    assert values(page, "tagforest_queue_seconds_count", **tags) == [2]
    assert values(page, "tagforest_requests_in_flight", **tags) == [0]
    assert sum(values(page, "tagforest_connections", entrypoint="REST")) >= 1
