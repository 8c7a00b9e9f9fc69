"""Schemas of TensorFlow Serving's text files that its wheel leaves out.

From `servables/tensorflow/session_bundle_config.proto`,
`config/monitoring_config.proto` and `config/ssl_config.proto`
(https://github.com/tensorflow/serving). Field numbers do not matter in text.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf import descriptor_pb2, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "int64": _FIELD.TYPE_INT64,
    "bool": _FIELD.TYPE_BOOL,
    "string": _FIELD.TYPE_STRING,
}
# Of its own: should tensorflow-serving-api come to hold the messages, the two
# must not meet in protobuf's table.
_PACKAGE = "tagforest.schemas"
# Message -> field -> type; a list holds several.
_MESSAGES: Mapping[str, Mapping[str, str | list[str]]] = {
    "Int64Value": {"value": "int64"},
    "BoolValue": {"value": "bool"},
    "StringValue": {"value": "string"},
    "BatchingParameters": {
        "max_batch_size": "Int64Value",
        "batch_timeout_micros": "Int64Value",
        "max_enqueued_batches": "Int64Value",
        "num_batch_threads": "Int64Value",
        "thread_pool_name": "StringValue",
        "allowed_batch_sizes": ["int64"],
        "pad_variable_length_inputs": "bool",
        "enable_large_batch_splitting": "BoolValue",
        "max_execution_batch_size": "Int64Value",
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    "SSLConfig": {
        "server_key": "string",
        "server_cert": "string",
        "custom_ca": "string",
        "client_verify": "bool",
    },
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="tagforest_schemas.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), 1):
            several = isinstance(kind, list)
            _add_field(message, key, number, kind[0] if several else str(kind))
            if several:
                message.field[-1].label = _FIELD.LABEL_REPEATED
    return file


def _add_field(message, name: str, number: int, kind: str) -> None:
    field = message.field.add(
        name=name, number=number, label=_FIELD.LABEL_OPTIONAL
    )
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


_classes = message_factory.GetMessages([_file()])
BatchingParameters = _classes[f"{_PACKAGE}.BatchingParameters"]
MonitoringConfig = _classes[f"{_PACKAGE}.MonitoringConfig"]
SslConfig = _classes[f"{_PACKAGE}.SSLConfig"]
