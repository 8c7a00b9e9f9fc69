"""gRPC server reflection: clients ask which calls there are.

The services are described here once more: the wheel tensorflow-serving-api has
them in modules that current versions of protobuf refuse to import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection

_PACKAGE = "tensorflow.serving"
_FOLDER = "tensorflow_serving/apis"
# File -> (files it needs, service, call -> request and reply), as in
# https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis
_FILES: Mapping[
    str, tuple[tuple[str, ...], str, Mapping[str, tuple[str, str]]]
] = {
    "prediction_service": (
        (
            "classification",
            "get_model_metadata",
            "inference",
            "predict",
            "regression",
        ),
        "PredictionService",
        {
            "Classify": ("ClassificationRequest", "ClassificationResponse"),
            "Regress": ("RegressionRequest", "RegressionResponse"),
            "Predict": ("PredictRequest", "PredictResponse"),
            "MultiInference": (
                "MultiInferenceRequest",
                "MultiInferenceResponse",
            ),
            "GetModelMetadata": (
                "GetModelMetadataRequest",
                "GetModelMetadataResponse",
            ),
        },
    ),
    "model_service": (
        ("get_model_status", "model_management"),
        "ModelService",
        {
            "GetModelStatus": (
                "GetModelStatusRequest",
                "GetModelStatusResponse",
            ),
            "HandleReloadConfigRequest": (
                "ReloadConfigRequest",
                "ReloadConfigResponse",
            ),
        },
    ),
}


def enable(server, services: Iterable[str]) -> None:
    """Lets clients ask a server about its services.

    Args:
        services: their full names.
    """
    pool = descriptor_pool.Default()
    for name in _FILES:
        file = _describe(name)
        try:
            pool.FindFileByName(file.name)
        except KeyError:
            pool.AddSerializedFile(file.SerializeToString())
    names = [*services, reflection.SERVICE_NAME]
    reflection.enable_server_reflection(names, server)


def _describe(name: str) -> descriptor_pb2.FileDescriptorProto:
    needed, service_name, calls = _FILES[name]
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_FOLDER}/{name}.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[f"{_FOLDER}/{other}.proto" for other in needed],
    )
    file.options.cc_enable_arenas = True
    service = file.service.add(name=service_name)
    for call, (request, reply) in calls.items():
        service.method.add(
            name=call,
            input_type=f".{_PACKAGE}.{request}",
            output_type=f".{_PACKAGE}.{reply}",
        )
    return file
