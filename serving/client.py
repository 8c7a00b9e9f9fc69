"""A client for a served tagger, over gRPC or REST, without TensorFlow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

import grpc
import httpx
import numpy as np
import tenacity

from beam_jobs.errors import InputError
from serving import contract, protos
from serving.prediction import Prediction, to_prediction
from serving.tensor_proto import from_proto, to_proto

TRANSPORTS = ("grpc", "rest")
_CHUNK_BYTES = 16 * 1024**2
_CHUNK_IMAGES = 64
_ATTEMPTS = 5
_BACKOFF_S = (0.1, 2.0)  # first and longest wait
_GRPC_RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "tensorflow.serving.PredictionService"}],
                "retryPolicy": {
                    "maxAttempts": _ATTEMPTS,
                    "initialBackoff": f"{_BACKOFF_S[0]}s",
                    "maxBackoff": f"{_BACKOFF_S[1]}s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)
_OUTPUTS = (
    contract.VALID,
    contract.NAMES,
    contract.WNIDS,
    contract.SCORE_VALUES,
)


class ServerError(RuntimeError):
    """The server did not answer, or refused.

    Attributes:
        code: gRPC's name of it, as `NOT_FOUND`; over REST the HTTP status.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code


class _Transport(Protocol):
    def predict(self, images: Sequence[bytes]) -> list[Prediction]: ...

    def close(self) -> None: ...


class TagClient:
    """Tags images on a server that speaks TensorFlow Serving's API.

    Batches are cut by bytes and by number, waits and message limits are set,
    and a busy or starting server (UNAVAILABLE) is asked again, five times.

    Args:
        address: `host:port`.
        transport: `grpc` or `rest`.
        model: its name on the server.
        timeout_s: for one batch, retries included (gRPC) or each (REST).

    Raises:
        InputError: another transport, or an address without port.

    Example:
        >>> with TagClient("127.0.0.1:8500") as client:  # doctest: +SKIP
        ...     client.tag([Path("dog.jpg").read_bytes()])
    """

    def __init__(
        self,
        address: str,
        transport: str = "grpc",
        *,
        model: str = contract.MODEL_NAME,
        timeout_s: float = 60.0,
    ):
        _check_address(address)
        if transport not in TRANSPORTS:
            raise InputError(
                f"transport must be one of {TRANSPORTS}; "
                f"received: {transport!r}"
            )
        kind = _GrpcTransport if transport == "grpc" else _RestTransport
        self._transport: _Transport = kind(address, model, timeout_s)

    def tag(self, images: Sequence[bytes]) -> list[Prediction]:
        """Returns a prediction for every image file, in order.

        An image over the server's limit of bytes is not sent: it is not
        valid.

        Raises:
            ServerError: the server did not answer, or refused.
        """
        return [
            prediction
            for chunk in _chunks(images)
            for prediction in self._transport.predict(chunk)
        ]

    def close(self) -> None:
        """Ends the connection."""
        self._transport.close()

    def __enter__(self) -> TagClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _GrpcTransport:
    def __init__(self, address: str, model: str, timeout_s: float):
        self._model, self._timeout_s = model, timeout_s
        self._channel = grpc.insecure_channel(
            address,
            options=[
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", -1),
                ("grpc.service_config", _GRPC_RETRIES),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(
            self._channel
        )

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        request = protos.predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = contract.TAGS
        tensor = to_proto(np.array(images, dtype=object))
        request.inputs[contract.IMAGE_BYTES].CopyFrom(tensor)
        try:
            reply = self._stub.Predict(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            raise ServerError(error.code().name, error.details()) from error
        columns = {name: from_proto(reply.outputs[name]) for name in _OUTPUTS}
        return [_from_row(row) for row in _rows(columns)]

    def close(self) -> None:
        self._channel.close()


def _rows(columns: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for number in range(len(columns[contract.VALID])):
        yield {
            name: [v.decode() for v in column[number]]
            if column.dtype.kind == "O"
            else column[number].tolist()
            for name, column in columns.items()
        }


class _RestTransport:
    def __init__(self, address: str, model: str, timeout_s: float):
        self._path = f"/v1/models/{model}:predict"
        # A proxy set for the network would be asked for loopback too.
        self._http = httpx.Client(
            base_url=f"http://{address}", timeout=timeout_s, trust_env=False
        )
        self._post_again = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_is_unavailable),
            wait=tenacity.wait_random_exponential(_BACKOFF_S[0], _BACKOFF_S[1]),
            stop=tenacity.stop_after_attempt(_ATTEMPTS),
            reraise=True,
        )

    def predict(self, images: Sequence[bytes]) -> list[Prediction]:
        rows = [{"b64": base64.b64encode(i).decode("ascii")} for i in images]
        body = json.dumps({"instances": rows}).encode()
        reply = self._post_again(self._post, body)
        return [_from_row(row) for row in reply["predictions"]]

    def _post(self, body: bytes) -> dict[str, Any]:
        try:
            response = self._http.post(self._path, content=body)
        except httpx.TimeoutException as error:
            raise ServerError("DEADLINE_EXCEEDED", str(error)) from error
        except httpx.TransportError as error:
            raise ServerError("UNAVAILABLE", str(error)) from error
        if response.status_code == 503:
            raise ServerError("UNAVAILABLE", response.text)
        if response.status_code != 200:
            raise ServerError(str(response.status_code), response.text)
        return response.json()

    def close(self) -> None:
        self._http.close()


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, ServerError) and error.code == "UNAVAILABLE"


def _from_row(row: dict[str, Any]) -> Prediction:
    return to_prediction(*(row[name] for name in _OUTPUTS))


def _chunks(images: Iterable[bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for image in images:
        sent = image if len(image) <= contract.MAX_IMAGE_BYTES else b""
        full = len(chunk) == _CHUNK_IMAGES or size + len(sent) > _CHUNK_BYTES
        if chunk and full:
            yield chunk
            chunk, size = [], 0
        chunk.append(sent)
        size += len(sent)
    if chunk:
        yield chunk


def _check_address(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise InputError(
            "a server's address is HOST:PORT, as "
            f"127.0.0.1:{contract.GRPC_PORT}; received: {address!r}"
        )
