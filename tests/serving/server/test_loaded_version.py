"""Right answers for any SavedModel, whoever asks at the same time."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import ml_dtypes
import numpy as np
import pytest

from serving.api import contract, protos
from serving.api.errors import RequestError
from serving.api.server_options import BatchingOptions
from serving.api.tensor_proto import from_proto, to_proto
from serving.saved_model.servable import Servable
from serving.server.loaded_version import LoadedVersion


@pytest.fixture(scope="module")
def ask(lists):
    with httpx.Client(trust_env=False, timeout=60) as client:

        def post(inputs, signature="serving_default"):
            return client.post(
                f"http://{lists.rest_address}/v1/models/lists:predict",
                json={"signature_name": signature, "inputs": inputs},
            )

        yield post


@pytest.fixture(scope="module")
def predict(lists):
    with grpc.insecure_channel(lists.grpc_address) as channel:
        stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def call(array, signature="serving_default"):
            request = protos.predict_pb2.PredictRequest()
            request.model_spec.name = "lists"
            request.model_spec.signature_name = signature
            request.inputs["x"].CopyFrom(to_proto(array))
            (output,) = stub.Predict(request, timeout=60).outputs.values()
            return from_proto(output)

        yield call


def test_16_clients_get_their_own_lists(ask, predict):
    generator = np.random.default_rng(0)
    lengths = generator.integers(1, 500, 400)
    sent = [generator.random(n, np.float32) + 0.5 for n in lengths]

    def digest(array):
        return hashlib.sha256(np.float32(array).tobytes()).hexdigest()

    # The model alone, one after the other, is what is right.
    alone = [digest(predict(x)) for x in sent]
    assert len({*alone}) > 390
    with ThreadPoolExecutor(16) as pool:
        over_grpc = pool.map(lambda x: digest(predict(x)), sent)
        assert [*over_grpc] == alone
        replies = pool.map(lambda x: ask(x.tolist()), sent)
        found = [r.json()["outputs"] for r in replies]
    assert [digest(f) for f in found] == alone


def test_a_long_list_is_one_call(ask):
    reply = ask([1.0] * (4 * contract.MAX_REQUEST_IMAGES))
    assert sum(reply.json()["outputs"]) == pytest.approx(1)


def test_an_answer_of_another_length(ask):
    assert ask([1, 1, 2], "unique").json() == {"outputs": [1, 2]}


def test_a_scalar_where_any_rank_is_taken(ask, predict):
    assert ask(3.0, "twice").json() == {"outputs": 6.0}
    assert predict(np.float32(3), "twice").tolist() == 6


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([1.5, -2], ml_dtypes.bfloat16), [2.5, -1]),
        (np.array([1 + 2j], np.complex64), [-2 + 1j]),
    ],
    ids=["bfloat16", "complex64"],
)
def test_numbers_that_json_lacks_go_over_grpc(predict, ask, array, expected):
    signature = array.dtype.name
    assert predict(array, signature).tolist() == expected
    reply = ask([1.0], signature)
    assert reply.status_code == 501
    assert "Conversion of JSON Value" in reply.json()["error"]


def test_a_call_without_end_has_one(lists):
    endless = {"x": np.array([1e6], np.float32)}
    with lists.versions.acquire("lists") as loaded:
        with pytest.raises(RequestError) as raised:
            loaded.run("slow", endless, time.monotonic() + 0.2)
    assert raised.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_our_exports_say_that_their_rows_may_be_joined(model_base):
    servable = Servable(model_base / "1")
    assert {contract.TAGS, contract.SCORES} <= servable.row_wise
    assert servable.row_wise == {*servable.signatures}


def test_all_models_are_joined_where_that_is_said(lists_base):
    options = BatchingOptions(max_batch_size=2, all_models=True)
    loaded = LoadedVersion(Servable(lists_base / "1"), options)
    inputs = {"x": np.ones(4, np.float32)}
    # In two calls of two: whoever says so knows that it is right.
    found = loaded.run(contract.TAGS, inputs)["share"]
    assert found.tolist() == [0.5] * 4
    loaded.close()
