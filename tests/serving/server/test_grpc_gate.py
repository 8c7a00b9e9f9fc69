"""Many gRPC calls, probes beside them, and refusals."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving.api import protos
from serving.api.server_options import ServerOptions
from serving.api.tensor_proto import to_proto
from serving.server import grpc_gate
from serving.server.local_server import running_server
from tests.helpers.waiting import wait_until


def slow(value: float):
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = "lists"
    request.model_spec.signature_name = "slow"
    request.inputs["x"].CopyFrom(to_proto(np.array([value], np.float32)))
    return request


def stub_of(channel):
    return protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)


def check(channel, timeout=60):
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout).status


SERVING = health_pb2.HealthCheckResponse.SERVING


def test_1000_calls_wait_and_probes_do_not(lists):
    with grpc.insecure_channel(lists.grpc_address) as channel:
        stub = stub_of(channel)
        calls = [stub.Predict.future(slow(1)) for _ in range(1000)]
        assert check(channel) == SERVING
        assert not all(call.done() for call in calls)
        values = [call.result(300).outputs["y"].float_val for call in calls]
        assert values == [[1.0]] * 1000


def test_streams_of_questions_hold_up_nobody(lists, monkeypatch):
    monkeypatch.setattr(grpc_gate, "_REFLECTION_S", 0.5)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    ending = threading.Event()

    def questions():
        yield asked
        ending.wait(60)

    with grpc.insecure_channel(lists.grpc_address) as channel:
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        streams = [
            reflection.ServerReflectionInfo(questions()) for _ in range(64)
        ]
        assert stub_of(channel).Predict(slow(1), timeout=60)
        assert check(channel) == SERVING
        # Idle streams end, so that the next one is heard.
        (reply,) = reflection.ServerReflectionInfo(iter([asked]), timeout=60)
        names = {s.name for s in reply.list_services_response.service}
        assert "tensorflow.serving.PredictionService" in names
        ending.set()
        for stream in streams:
            stream.cancel()


def test_one_too_many_is_told_to_try_again(lists_base):
    options = ServerOptions(
        name="lists", grpc_port=0, rest_port=0, most_requests=3
    )
    with (
        running_server(lists_base, options) as server,
        grpc.insecure_channel(server.grpc_address) as channel,
    ):
        stub = stub_of(channel)
        # They reach the server in any order, so any of them is refused.
        calls = [stub.Predict.future(slow(300)) for _ in range(12)]
        assert check(channel) == SERVING
        refused = [e for e in (call.exception(300) for call in calls) if e]
        assert 1 <= len(refused) <= 9
        for error in refused:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert error.details() == "3 requests wait: try again"
        url = f"http://{server.rest_address}/monitoring/prometheus/metrics"
        lines = httpx.get(url, trust_env=False).text.splitlines()
        (counted,) = [
            line
            for line in lines
            if line.startswith("tagforest_refused") and "requests" in line
        ]
        assert 'entrypoint="GRPC"' in counted and counted.endswith(
            f" {len(refused)}.0"
        )
        assert stub.Predict(slow(1))


def test_pings_do_not_end_a_long_call(lists):
    pings = {
        "grpc.keepalive_time_ms": 1000,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
    }
    with grpc.insecure_channel(lists.grpc_address, [*pings.items()]) as channel:
        start = time.monotonic()
        while time.monotonic() - start < 5:
            assert stub_of(channel).Predict(slow(200), timeout=120)


def test_a_unix_socket_and_options_of_grpc(lists_base, tmp_path):
    options = ServerOptions(
        name="lists",
        grpc_port=0,
        rest_port=0,
        grpc_socket_path=tmp_path / "socket",
        grpc_channel_arguments={"grpc.max_receive_message_length": 1000},
    )
    with running_server(lists_base, options):
        with grpc.insecure_channel(f"unix:{tmp_path}/socket") as channel:
            assert stub_of(channel).Predict(slow(1), timeout=60)
            large = slow(1)
            large.inputs["x"].tensor_content = bytes(2000)
            with pytest.raises(grpc.RpcError) as raised:
                stub_of(channel).Predict(large, timeout=60)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_nobody_is_cancelled_when_the_server_stops(lists_base):
    """16 clients ask without pause; what they get is an answer or a "no"."""
    options = ServerOptions(name="lists", grpc_port=0, rest_port=0)
    codes, ended = set(), threading.Event()

    def client(address):
        with grpc.insecure_channel(address) as channel:
            stub = stub_of(channel)
            while not ended.is_set():
                try:
                    stub.Predict(slow(0), timeout=60)
                    codes.add(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    codes.add(error.code())
                    time.sleep(0.02)

    with ThreadPoolExecutor(16) as pool:
        with running_server(lists_base, options) as server:
            where = server.grpc_address
            clients = [pool.submit(client, where) for _ in range(16)]
            wait_until(lambda: codes)
            server.drain()
            with grpc.insecure_channel(where) as channel:
                assert check(channel) != SERVING
                assert stub_of(channel).Predict(slow(1), timeout=60)
        ended.set()
        for done in clients:
            done.result(60)
    assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
