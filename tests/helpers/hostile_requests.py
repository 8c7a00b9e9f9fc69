"""Requests that no honest client sends, drawn from a seed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from grpc import StatusCode

from serving.api import contract, protos

PREDICT = f"/v1/models/{contract.MODEL_NAME}:predict"
# What a JSON document of the wrong form may contain.
_VALUES = (
    None,
    True,
    0,
    -1,
    2**70,
    1e308,
    "",
    "x" * 3000,
    "\u0000\ud83d\ude00",
    [],
    {},
    [[[]]],
    {"b64": "/9j/"},
    {"b64": 7},
    {"b64": "!!"},
    {"b64": "", "c": 1},
)
_KEYS = ("instances", "inputs", "signature_name", contract.IMAGE_BYTES, "b64")
_OK_OR_BAD = (200, 400)


@dataclass(frozen=True)
class RestCase:
    """One HTTP request and the statuses that are right for it."""

    method: str
    path: str
    body: bytes
    statuses: tuple[int, ...]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GrpcCase:
    """The bytes of one PredictRequest and the right codes for it."""

    message: bytes
    codes: tuple[StatusCode, ...]


def rest_cases(rng: np.random.Generator, image: bytes) -> Iterator[RestCase]:
    """Yields without end."""
    makers = (
        _mutated_body,
        _random_document,
        _broken_base64,
        _deep,
        _bad_path,
        _bad_gzip,
        _cut_body,
    )
    while True:
        yield makers[rng.integers(len(makers))](rng, image)


def grpc_cases(rng: np.random.Generator, image: bytes) -> Iterator[GrpcCase]:
    """Yields without end."""
    makers = (_mutated_message, _random_tensor, _other_model, _noise)
    while True:
        yield makers[rng.integers(len(makers))](rng, image)


def mutated(data: bytes, rng: np.random.Generator, most: int = 20) -> bytes:
    """Returns the bytes with some changed, left out or doubled."""
    changed = bytearray(data)
    kind = rng.integers(4)
    if kind == 0:
        return bytes(changed[: rng.integers(len(changed))])
    if kind == 1:
        start, end = np.sort(rng.integers(0, len(changed), 2))
        return bytes(changed[:end] + changed[start:])
    for at in rng.integers(0, len(changed), rng.integers(1, most)):
        changed[at] = rng.integers(256)
    return bytes(changed)


def _body(image: bytes) -> bytes:
    row = {"b64": base64.b64encode(image).decode()}
    return json.dumps({"instances": [row]}).encode()


def _mutated_body(rng, image) -> RestCase:
    return RestCase("POST", PREDICT, mutated(_body(image), rng, 4), (200, 400))


def _cut_body(rng, image) -> RestCase:
    body = _body(image)
    return RestCase("POST", PREDICT, body[: rng.integers(len(body))], (400,))


def _random_document(rng, _) -> RestCase:
    def draw(depth: int):
        kind = rng.integers(4) if depth else 3
        if kind == 0:
            return [draw(depth - 1) for _ in range(rng.integers(4))]
        if kind == 1:
            keys = rng.choice(_KEYS, rng.integers(1, 4))
            return {str(key): draw(depth - 1) for key in keys}
        return _VALUES[rng.integers(len(_VALUES))]

    key = str(rng.choice(_KEYS[:2]))
    text = json.dumps({key: draw(4)}).encode()
    return RestCase("POST", PREDICT, text, _OK_OR_BAD)


def _broken_base64(rng, image) -> RestCase:
    text = base64.b64encode(image).decode()
    at = rng.integers(len(text))
    broken = text[:at] + str(rng.choice(list("!*-_\u00e9"))) + text[at:]
    body = json.dumps({"instances": [{"b64": broken}]}).encode()
    return RestCase("POST", PREDICT, body, (400,))


def _deep(rng, _) -> RestCase:
    depth = int(rng.integers(100, 100_000))
    opening = b"[" if rng.integers(2) else b'{"a":'
    body = b'{"instances": ' + opening * depth
    return RestCase("POST", PREDICT, body, (400,))


def _bad_path(rng, _) -> RestCase:
    name = contract.MODEL_NAME
    paths = (
        (f"/v1/models/{name}:destroy", 400),
        (f"/v1/models/{name}/versions/99999999999999999999:predict", 400),
        (f"/v1/models/{name}/versions/77:predict", 404),
        (f"/v1/models/{name}/labels/none:predict", 400),
        (f"/v1/models/%00{name}:predict", 404),
        ("/v1/models/" + "x" * 2000 + ":predict", 404),
        (f"/v1/models/{name}:predict?x=1", 400),
        ("/v1/" + "../" * 50, 400),
        ("/" + "y" * 500, 404),
    )
    path, status = paths[rng.integers(len(paths))]
    body = b'{"instances": [{"b64": ""}]}'
    return RestCase("POST", path, body, (status,))


def _bad_gzip(rng, image) -> RestCase:
    noise = rng.bytes(rng.integers(1, 200))
    headers = {"Content-Encoding": "gzip"}
    return RestCase("POST", PREDICT, noise, (400,), headers)


def _message(image: bytes):
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = contract.MODEL_NAME
    tensor = request.inputs[contract.IMAGE_BYTES]
    tensor.dtype = protos.types_pb2.DT_STRING
    tensor.tensor_shape.dim.add(size=1)
    tensor.string_val.append(image)
    return request


_ANY_REFUSAL = (
    StatusCode.OK,
    StatusCode.INVALID_ARGUMENT,
    StatusCode.NOT_FOUND,
    StatusCode.FAILED_PRECONDITION,
    # gRPC's own, where the bytes are no message.
    StatusCode.INTERNAL,
)


def _mutated_message(rng, image) -> GrpcCase:
    return GrpcCase(
        mutated(_message(image).SerializeToString(), rng, 4), _ANY_REFUSAL
    )


def _noise(rng, _) -> GrpcCase:
    return GrpcCase(rng.bytes(rng.integers(1, 300)), _ANY_REFUSAL[1:])


def _random_tensor(rng, image) -> GrpcCase:
    request = _message(image)
    tensor = request.inputs[contract.IMAGE_BYTES]
    tensor.dtype = int(rng.integers(0, 30))
    del tensor.tensor_shape.dim[:]
    for size in rng.choice([-1, 0, 1, 2, 1000, 2**40], rng.integers(0, 5)):
        tensor.tensor_shape.dim.add(size=int(size))
    tensor.tensor_shape.unknown_rank = bool(rng.integers(2))
    tensor.tensor_content = rng.bytes(rng.integers(0, 50))
    tensor.float_val.extend(rng.random(rng.integers(0, 5)))
    codes = (StatusCode.INVALID_ARGUMENT, StatusCode.OK)
    return GrpcCase(request.SerializeToString(), codes)


def _other_model(rng, image) -> GrpcCase:
    request = _message(image)
    kind = rng.integers(4)
    spec = request.model_spec
    if kind == 0:
        spec.name, code = "", StatusCode.INVALID_ARGUMENT
    elif kind == 1:
        spec.version.value, code = (
            int(rng.integers(7, 2**60)),
            (StatusCode.NOT_FOUND),
        )
    elif kind == 2:
        spec.version_label, code = "none", StatusCode.INVALID_ARGUMENT
    else:
        spec.signature_name, code = "none", StatusCode.FAILED_PRECONDITION
    return GrpcCase(request.SerializeToString(), (code,))
