from __future__ import annotations

import io

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image

from serving.api import contract, protos
from serving.api.tensor_proto import from_proto, to_proto
from tests.helpers.images import encode, noise_image


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def model_stub(channel):
    return protos.model_service_pb2_grpc.ModelServiceStub(channel)


def predict_request(images, name="tagforest", signature="", key="image_bytes"):
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    array = np.array(images, object)
    request.inputs[key].CopyFrom(to_proto(array))
    return request


def code_and_message(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code().name, caught.value.details()


def test_masks_are_bytes(task_server):
    image = encode(np.full((8, 6, 3), (0, 255, 0), np.uint8))
    request = predict_request([image, b"broken"], "masks", "segment")
    with grpc.insecure_channel(task_server.grpc_address) as channel:
        stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)
        found = stub.Predict(request, timeout=30).outputs
    mask, nothing = from_proto(found["mask_bytes"])
    assert np.asarray(Image.open(io.BytesIO(mask))).tolist() == [[2] * 6] * 8
    assert nothing == b""
    assert from_proto(found["shares"]).tolist() == [[0, 0, 1], [0, 0, 0]]


def test_predict(stub, server):
    images = [noise_image(1), b"broken", noise_image(2, form="PNG")]
    reply = stub.Predict(predict_request(images), timeout=30)
    with server.versions.acquire("tagforest") as loaded:
        expected = loaded.servable.run(
            contract.TAGS, {contract.IMAGE_BYTES: np.array(images, object)}
        )
    found = {name: from_proto(proto) for name, proto in reply.outputs.items()}
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert found[name].tolist() == array.tolist(), name
    assert found["valid"].tolist() == [True, False, True]
    assert reply.model_spec.name == "tagforest"
    assert reply.model_spec.version.value == 1
    assert reply.model_spec.signature_name == "serving_default"


def test_output_filter(stub):
    request = predict_request([noise_image(1)], signature="embedding")
    request.output_filter.append("valid")
    assert list(stub.Predict(request, timeout=30).outputs) == ["valid"]


def test_no_images(stub):
    reply = stub.Predict(predict_request([]), timeout=30)
    assert from_proto(reply.outputs["names"]).shape == (0, 3)


def test_bad_requests_get_tensorflow_servings_codes(stub):
    image = noise_image(1)
    pinned = predict_request([image])
    pinned.model_spec.version.value = 50
    labelled = predict_request([image])
    labelled.model_spec.version_label = "canary"
    filtered = predict_request([image])
    filtered.output_filter.append("nothing")
    unreadable = predict_request([image])
    unreadable.inputs["image_bytes"].tensor_shape.dim[0].size = -1
    wrong_type = predict_request([image])
    wrong_type.inputs["image_bytes"].CopyFrom(to_proto(np.zeros(1, np.int64)))
    wrong_rank = predict_request([[image]])
    too_many = predict_request([b""] * 257)
    cases = [
        (protos.predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing M"),
        (predict_request([image], name=""), "INVALID_ARGUMENT", "no name"),
        (predict_request([image], name="x"), "NOT_FOUND", "Latest(x)"),
        (pinned, "NOT_FOUND", "Specific(tagforest, 50)"),
        (labelled, "INVALID_ARGUMENT", "label: canary"),
        (
            predict_request([image], signature="x"),
            "FAILED_PRECONDITION",
            'Serving signature key "x" not found.',
        ),
        (
            predict_request([image], key="x"),
            "INVALID_ARGUMENT",
            "Sent extra: {x}. Missing but required: {image_bytes}.",
        ),
        (filtered, "INVALID_ARGUMENT", "alias not found in signature: nothing"),
        (unreadable, "INVALID_ARGUMENT", "tensor parsing error: image_bytes"),
        (wrong_type, "INVALID_ARGUMENT", "expected dtype object"),
        (wrong_rank, "INVALID_ARGUMENT", "expected shape (None,)"),
        (too_many, "INVALID_ARGUMENT", "maximum input batch size 256"),
    ]
    for request, code, message in cases:
        found = code_and_message(stub.Predict, request)
        assert found[0] == code and message in found[1], found


def test_long_messages_are_cut(stub):
    code, message = code_and_message(
        stub.Predict, predict_request([b""], name="x" * 5000)
    )
    assert code == "NOT_FOUND"
    assert len(message) < 1100 and message.endswith("...TRUNCATED")


def test_metadata(stub):
    request = protos.get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "tagforest"
    request.metadata_field.append("signature_def")
    reply = stub.GetModelMetadata(request, timeout=30)
    table = protos.get_model_metadata_pb2.SignatureDefMap()
    assert reply.metadata["signature_def"].Unpack(table)
    inputs = table.signature_def["serving_default"].inputs
    assert inputs["image_bytes"].dtype == protos.types_pb2.DT_STRING
    request.metadata_field[0] = "something"
    code, _ = code_and_message(stub.GetModelMetadata, request)
    assert code == "INVALID_ARGUMENT"


def test_status(model_stub):
    request = protos.get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "tagforest"
    reply = model_stub.GetModelStatus(request, timeout=30)
    (entry,) = reply.model_version_status
    assert (entry.version, entry.State.Name(entry.state)) == (1, "AVAILABLE")
    request.model_spec.name = "x"
    code, message = code_and_message(model_stub.GetModelStatus, request)
    assert code == "NOT_FOUND" and "versions of model x" in message


def test_reflection(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)

    def ask(**request):
        sent = iter([reflection_pb2.ServerReflectionRequest(**request)])
        return next(stub.ServerReflectionInfo(sent, timeout=30))

    services = ask(list_services="").list_services_response.service
    assert {s.name for s in services} >= {
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
        "grpc.health.v1.Health",
    }
    symbol = "tensorflow.serving.PredictionService"
    found = ask(file_containing_symbol=symbol).file_descriptor_response
    assert found.file_descriptor_proto


@pytest.mark.parametrize(
    "service",
    [
        *("", "PredictionService", "ModelService"),
        "tensorflow.serving.PredictionService",
        "tensorflow.serving.ModelService",
    ],
)
def test_health(channel, service):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    reply = stub.Check(request, timeout=30)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
