"""TensorFlow Serving's answers, case by case.

The tables in `conformance/` run against a local server or, unchanged, against
the TensorFlow Serving that the environment names:

- TFS_ADDRESS, TFS_REST_ADDRESS: `host:port` of gRPC and REST.
- TFS_MODEL: the model's name (default `tagforest`); an export with four
  classes and top_k 3, version 1.
- TFS_NUMBERS: the name of what `python -m tests.helpers.numbers_model` writes;
  without it its cases are skipped.

A case marked `ours` holds for the local server alone.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
from pathlib import Path

import grpc
import pytest
from google.protobuf import json_format

from serving.api import protos
from tests.helpers.images import noise_image
from tests.helpers.waiting import LIMIT_S

TABLES = Path(__file__).parent / "conformance"
REAL = {
    "grpc": os.environ.get("TFS_ADDRESS", ""),
    "rest": os.environ.get("TFS_REST_ADDRESS", ""),
}
MESSAGES = {
    "Predict": protos.predict_pb2.PredictRequest,
    "Classify": protos.classification_pb2.ClassificationRequest,
    "Regress": protos.regression_pb2.RegressionRequest,
    "MultiInference": protos.inference_pb2.MultiInferenceRequest,
    "GetModelMetadata": protos.get_model_metadata_pb2.GetModelMetadataRequest,
    "GetModelStatus": protos.get_model_status_pb2.GetModelStatusRequest,
}
STUBS = {
    "PredictionService": (
        protos.prediction_service_pb2_grpc.PredictionServiceStub
    ),
    "ModelService": protos.model_service_pb2_grpc.ModelServiceStub,
}


class Target:
    """A server under test, and one model on it."""

    def __init__(self, grpc_address, rest_address, model, image):
        self.rest_address, self.model = rest_address, model
        self._channel = grpc.insecure_channel(grpc_address)
        self.stubs = {n: stub(self._channel) for n, stub in STUBS.items()}
        self._words = {
            "{model}": model,
            "$MANY": ", ".join(['"a"'] * 257),
            "$IMAGE": base64.b64encode(image).decode(),
        }

    def fill(self, text: str) -> str:
        for word, meaning in self._words.items():
            text = text.replace(word, meaning)
        return text

    def request(self, case, default_path=""):
        """Sends bytes as they are; returns status, headers and body."""
        connection = http.client.HTTPConnection(
            self.rest_address, timeout=LIMIT_S
        )
        body = self.fill(case.get("body", "")).encode()
        headers = dict(case.get("headers", {}))
        if case.get("gzip"):
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        path = self.fill(case.get("path", default_path))
        verb = case.get("verb", case.get("method", "POST"))
        connection.request(verb, path, body, headers)
        reply = connection.getresponse()
        read = reply.read()
        connection.close()
        return reply.status, reply.headers, read

    def close(self):
        self._channel.close()


def table(name: str):
    cases = json.loads((TABLES / f"{name}.json").read_text("utf-8"))
    return pytest.mark.parametrize("case", cases, ids=[c["id"] for c in cases])


@pytest.fixture(scope="module")
def target(request):
    """The tagger."""
    if all(REAL.values()):
        model = os.environ.get("TFS_MODEL", "tagforest")
        found = Target(REAL["grpc"], REAL["rest"], model, noise_image(1))
    else:
        server = request.getfixturevalue("server")
        found = Target(
            server.grpc_address,
            server.rest_address,
            server.name,
            noise_image(1),
        )
    yield found
    found.close()


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    """The model with numbers of every dtype."""
    if all(REAL.values()):
        model = os.environ.get("TFS_NUMBERS", "")
        if not model:
            pytest.skip("TFS_NUMBERS names no model")
        found = Target(REAL["grpc"], REAL["rest"], model, b"")
        yield found
        found.close()
        return
    from serving.api.server_options import ServerOptions
    from serving.server.local_server import running_server
    from tests.helpers import numbers_model

    base = tmp_path_factory.mktemp("models") / "numbers"
    numbers_model.write(base)
    options = ServerOptions(name="numbers", grpc_port=0, rest_port=0)
    with running_server(base, options) as server:
        found = Target(server.grpc_address, server.rest_address, "numbers", b"")
        yield found
        found.close()


@table("routing")
def test_routing(target, case):
    check_rest(target, case, target.request(case))


@table("predict")
def test_predict(target, case):
    path = "/v1/models/{model}:predict"
    check_rest(target, case, target.request(case, path))


@table("numbers")
def test_numbers(numbers, case):
    path = "/v1/models/{model}:predict"
    check_rest(numbers, case, numbers.request(case, path))


@table("examples")
def test_examples(numbers, case):
    path = "/v1/models/{model}:" + case["method"]
    sent = {"verb": "POST", **case}
    check_rest(numbers, case, numbers.request(sent, path))


@table("grpc")
def test_grpc(target, case):
    check_grpc(target, case)


@table("grpc_numbers")
def test_grpc_numbers(numbers, case):
    check_grpc(numbers, case)


def test_long_messages_are_cut(target):
    case = {"request": {"modelSpec": {"name": "x" * 5000}}, "call": "Predict"}
    code, message = call(target, case)
    assert code == "NOT_FOUND"
    assert len(message) == 1024 + len("...TRUNCATED")
    assert message.endswith("...TRUNCATED")


def test_a_large_value_is_not_quoted_whole(target):
    body = json.dumps({"inputs": [{"image": "a" * 100_000}]})
    case = {"body": body, "path": "/v1/models/{model}:predict"}
    status, _, read = target.request(case)
    if status == 400 and all(REAL.values()) and len(read) > 1000:
        pytest.skip("TensorFlow Serving up to 2.16 quotes it whole")
    assert status == 400 and len(read) < 1000


def check_rest(target, case, answer):
    if case.get("ours") and all(REAL.values()):
        pytest.skip("only the local server has this")
    status, headers, body = answer
    assert status == case.get("status", 400), body
    wanted = case.get("type", "application/json")
    found = headers.get("content-type", "")
    assert found == wanted if not wanted else found.startswith(wanted)
    assert case.get("lacks", "no-such-header") not in headers
    if "error" in case or "error_has" in case:
        reply = json.loads(body)
        assert list(reply) == ["error"]
        assert body.startswith(b'{\n    "error": "')
        assert reply["error"].startswith(target.fill(case.get("error", "")))
        assert case.get("error_has", "") in reply["error"]
    check_reply(target, case, body)


def check_reply(target, case, body):
    if "reply" in case:
        assert json.loads(body) == expected(target, case["reply"])
    if "text" in case:
        assert repr(in_order(json.loads(body))) == case["text"]
    if "has" in case:
        assert_has(json.loads(body), expected(target, case["has"]))


def check_grpc(target, case):
    if case.get("ours") and all(REAL.values()):
        pytest.skip("only the local server has this")
    code, answer = call(target, case)
    assert code == case.get("code", "OK"), answer
    if code != "OK":
        assert answer.startswith(target.fill(case.get("message", "")))
        return
    check_reply(target, case, json_format.MessageToJson(answer))


def call(target, case):
    words = json.dumps(case["request"]).replace(
        '"$TENSOR"',
        '{"dtype": "DT_STRING", "tensorShape": {"dim": [{"size": "1"}]}, '
        '"stringVal": ["$IMAGE"]}',
    )
    message = MESSAGES[case["call"]]()
    json_format.Parse(target.fill(words), message)
    stub = target.stubs[case.get("service", "PredictionService")]
    try:
        return "OK", getattr(stub, case["call"])(message, timeout=LIMIT_S)
    except grpc.RpcError as error:
        return error.code().name, error.details()


def expected(target, value):
    return json.loads(target.fill(json.dumps(value)))


def in_order(value):
    """Objects with sorted keys: their order means nothing."""
    if isinstance(value, dict):
        return {k: in_order(value[k]) for k in sorted(value)}
    return [in_order(v) for v in value] if isinstance(value, list) else value


def assert_has(found, wanted):
    """All that is wanted is there; objects may have more."""
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert_has(found[key], value)
    elif isinstance(wanted, list):
        assert len(found) >= len(wanted)
        for one, value in zip(found, wanted, strict=False):
            assert_has(one, value)
    else:
        assert found == wanted
