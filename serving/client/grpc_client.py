"""Predict over gRPC, for `serving.client.tag_client`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np

from serving.api import contract, protos
from serving.api.client_tls import ClientTls
from serving.api.prediction import (
    Answer,
    VersionStatus,
    to_answer,
    version_statuses,
)
from serving.api.tag_options import TagOptions
from serving.api.tensor_proto import fill_proto, from_proto
from serving.client.client_options import ClientOptions
from serving.client.retries import retrying, server_error

_SIGNATURE_DEF = "signature_def"  # the metadata that a server has

# gRPC's own retries: five attempts at most, also by its specification.
_RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [
                    {"service": "tensorflow.serving.PredictionService"},
                    {"service": "tensorflow.serving.ModelService"},
                ],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


class GrpcTransport:
    """One channel to a server."""

    def __init__(self, address: str, options: ClientOptions):
        self._options = options
        self._channel = open_channel(address, options.tls)
        self._stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )
        self._models = protos.model_service_pb2_grpc.ModelServiceStub(
            self._channel
        )
        # The channel itself asks again when a server is UNAVAILABLE.
        self._ask_again = retrying(("RESOURCE_EXHAUSTED",))

    def predict(
        self, images: Sequence[bytes], options: TagOptions | None = None
    ) -> list[Answer]:
        """Sends one request."""
        request = protos.predict_pb2.PredictRequest()
        self._fill(request.model_spec)
        signature = contract.TAGS if options is None else contract.SELECT
        request.model_spec.signature_name = signature
        inputs = {contract.IMAGE_BYTES: np.array(images, dtype=object)}
        inputs |= options.arrays(len(images)) if options else {}
        for name, array in inputs.items():
            fill_proto(request.inputs[name], array)
        reply = self._ask_again(self._call, self._stub.Predict, request)
        columns = {k: from_proto(v) for k, v in reply.outputs.items()}
        return [to_answer(row) for row in _rows(columns)]

    def status(self) -> list[VersionStatus]:
        """Asks which versions the server has."""
        request = protos.get_model_status_pb2.GetModelStatusRequest()
        self._fill(request.model_spec)
        reply = self._ask_again(
            self._call, self._models.GetModelStatus, request
        )
        return version_statuses(reply)

    def version(self) -> int:
        """Asks which version answers."""
        return self._metadata().model_spec.version.value

    def signatures(self) -> set[str]:
        """Asks which signatures the version has."""
        table = protos.get_model_metadata_pb2.SignatureDefMap()
        reply = self._ask_again(self._metadata)
        reply.metadata[_SIGNATURE_DEF].Unpack(table)
        return set(table.signature_def)

    def _metadata(self) -> Any:
        request = protos.get_model_metadata_pb2.GetModelMetadataRequest(
            metadata_field=[_SIGNATURE_DEF]
        )
        self._fill(request.model_spec)
        return self._call(self._stub.GetModelMetadata, request)

    def _call(self, method: Callable, request: Any) -> Any:
        try:
            return method(request, timeout=self._options.timeout_s)
        except grpc.RpcError as error:
            raise server_error(error.code().name, error.details()) from error

    def _fill(self, spec: Any) -> None:
        spec.name = self._options.model
        if self._options.version is not None:
            spec.version.value = self._options.version
        if self._options.version_label:
            spec.version_label = self._options.version_label

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


def open_channel(address: str, tls: ClientTls | None) -> grpc.Channel:
    """Returns a channel that limits no message and asks a busy server again."""
    options = [
        # gRPC takes no answer over 4 MB, unless told; the server has limits.
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.service_config", _RETRIES),
        # A proxy set for the network would be asked for loopback too.
        ("grpc.enable_http_proxy", 0),
        # A server that comes back is found soon, not after two minutes.
        ("grpc.max_reconnect_backoff_ms", 5000),
    ]
    if tls is None:
        return grpc.insecure_channel(address, options)
    credentials = grpc.ssl_channel_credentials(*tls.contents())
    return grpc.secure_channel(address, credentials, options)


def _rows(columns: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    masks = columns.pop(contract.MASK, None)
    for number in range(len(columns[contract.VALID])):
        row = {name: _plain(column[number]) for name, column in columns.items()}
        # Bytes that are no text.
        yield row if masks is None else {**row, contract.MASK: masks[number]}


def _plain(value: Any) -> Any:
    """Returns Python's own values; bytes as text."""
    if isinstance(value, bytes):
        return value.decode()
    if value.dtype.kind == "O":
        return [_plain(v) for v in value]
    return value.tolist()
