"""JSON values -> arrays, with TensorFlow Serving's rules for each dtype.

After `AddValueToTensor` of `util/json_tensor.cc`
(https://github.com/tensorflow/serving): what is read, what would lose
precision, and what the errors say.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from grpc import StatusCode

from serving.api.errors import RequestError, invalid_argument

_QUOTED = 256
_TYPE_NAMES = {
    "float32": "float",
    "float64": "double",
    "float16": "half",
    "object": "string",
}
# Small integers travel as 32-bit ones; nobody looks at the range.
_RANGES: dict[str, Any] = {
    **dict.fromkeys(("int8", "int16", "int32", "uint8"), np.int32),
    "int64": np.int64,
    "uint32": np.uint32,
    "uint64": np.uint64,
}
# Bits of precision: from 2^bits on, a whole number is refused.
_DIGITS = {"float32": 24, "float64": 53}
_KINDS: dict[str, set[type]] = {"b": {bool}, "f": {int, float}}
READABLE = frozenset({*_RANGES, *_DIGITS, "bool", "object"})


def to_array(leaves: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    """Returns a flat array of JSON values; strings as bytes.

    Raises:
        RequestError: INVALID_ARGUMENT, a value of another type or one that
            loses precision; UNIMPLEMENTED, a dtype that JSON lacks.
    """
    if dtype.name not in READABLE:
        shown = quote(leaves[0]) if leaves else ""
        raise RequestError(
            StatusCode.UNIMPLEMENTED,
            f"Conversion of JSON Value: {shown} to type: {type_name(dtype)}",
        )
    if dtype.kind == "O":
        texts = np.empty(len(leaves), object)
        texts[:] = [_to_bytes(leaf, dtype) for leaf in leaves]
        return texts
    kinds = _KINDS.get(dtype.kind, {int})
    # All types at once: values are looked at only to name a wrong one.
    for leaf in leaves if not {type(v) for v in leaves} <= kinds else ():
        if type(leaf) not in kinds:
            raise _wrong_type(leaf, dtype)
    return _numbers(leaves, dtype)


def _numbers(leaves: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    if dtype.name in _RANGES:
        limits = np.iinfo(_RANGES[dtype.name])
        for leaf in (min(leaves), max(leaves)) if leaves else ():
            if not limits.min <= leaf <= limits.max:
                raise _wrong_type(leaf, dtype)
        return np.array(leaves, limits.dtype).astype(dtype)
    if dtype.kind == "f":
        return _floats(leaves, dtype)
    return np.array(leaves, dtype)


def _floats(leaves: Sequence[Any], dtype: np.dtype) -> np.ndarray:
    whole = 2 ** _DIGITS[dtype.name]
    largest = float(np.finfo(dtype).max)
    try:
        values = np.array(leaves, np.float64)
    except OverflowError as error:
        raise invalid_argument(
            "JSON Parse error: Number too big to be stored in double."
        ) from error
    # Few lists have any that are large: only those are looked through.
    for index in np.flatnonzero(np.abs(values) >= whole):
        leaf = leaves[index]
        # Larger ones are doubles to TensorFlow Serving's parser, RapidJSON.
        inexact = type(leaf) is int and abs(leaf) < 2**64
        if inexact or largest < abs(values[index]) < np.inf:
            raise _lossy(leaf, dtype)
    return values.astype(dtype)


def _lossy(value: Any, dtype: np.dtype) -> RequestError:
    return invalid_argument(
        f"Cannot convert JSON value: {quote(value)} to {type_name(dtype)} "
        "without loss of precision."
    )


def type_name(dtype: np.dtype) -> str:
    """Returns TensorFlow's name of a dtype, such as `float` or `string`."""
    return _TYPE_NAMES.get(dtype.name, dtype.name)


def is_b64(value: Any) -> bool:
    """Tells whether a JSON value stands for bytes."""
    return (
        isinstance(value, dict)
        and len(value) == 1
        and isinstance(value.get("b64"), str)
    )


def decode_b64(value: Any) -> bytes:
    """Returns the bytes of `{"b64": "..."}`, in the standard alphabet.

    Raises:
        RequestError: INVALID_ARGUMENT, another object or alphabet.
    """
    if not is_b64(value):
        raise format_error(value, "not formatted correctly for base64 data")
    text = value["b64"]
    try:
        if any(blank in text for blank in " \t\r\n"):
            text = "".join(text.split())
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded, validate=True)
    except (ValueError, binascii.Error) as error:
        raise invalid_argument("Unable to base64 decode") from error


def encode_text(text: str) -> bytes:
    """Returns the bytes of a JSON string, as they were in the request.

    Raises:
        RequestError: INVALID_ARGUMENT, half a surrogate pair.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise invalid_argument(f"JSON Value: {error.reason}") from error


def format_error(value: Any, problem: str) -> RequestError:
    """Returns the error that quotes a JSON value, cut to 256 characters."""
    return invalid_argument(f"JSON Value: {quote(value)} {problem}")


def quote(value: Any) -> str:
    """Returns the beginning of a JSON value, as an error shows it."""
    text = ""
    try:
        for part in json.JSONEncoder(indent=4).iterencode(value):
            text += part[:_QUOTED]
            if len(text) >= _QUOTED:
                break
    except RecursionError:
        pass  # what there is so far will do
    return text[:_QUOTED]


def json_type(value: Any) -> str:
    """Returns the JSON type of a value, as an error names it."""
    if isinstance(value, bool):
        return str(value)
    if value is None:
        return "Null"
    names: dict[type, str] = {dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def _to_bytes(value: Any, dtype: np.dtype) -> bytes:
    if isinstance(value, str):
        return encode_text(value)
    if isinstance(value, dict):
        return decode_b64(value)
    raise _wrong_type(value, dtype)


def _wrong_type(value: Any, dtype: np.dtype) -> RequestError:
    return format_error(
        value,
        f"Type: {json_type(value)} is not of expected type: {type_name(dtype)}",
    )
