"""TensorFlow Serving's JSON <-> arrays (`util/json_tensor.cc`).

A request is an object with `instances` (rows) or `inputs` (columns); bytes
are written as `{"b64": "..."}`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from serving.api import contract
from serving.api.errors import RequestError, invalid_argument
from serving.saved_model.servable import Signature, TensorInfo
from serving.server.json_values import (
    READABLE,
    format_error,
    is_b64,
    quote,
    to_array,
    type_name,
)

ROWS, COLUMNS = "instances", "inputs"
# Lists are read by calls within calls: a bound for hostile depths.
_MAX_RANK = 8


def parse_document(body: bytes) -> dict[str, Any]:
    """Returns the request's object; bytes after it are ignored.

    Bytes that are no UTF-8 are kept as they are, within strings.

    Raises:
        RequestError: INVALID_ARGUMENT, no JSON object.
    """
    document = _strict_json(body)
    if isinstance(document, dict):
        return document
    try:
        # Strings may hold any bytes; they come back when they are encoded.
        text = body.decode("utf-8-sig", "surrogateescape").lstrip(" \t\r\n")
        if not text:
            raise invalid_argument("JSON Parse error: The document is empty")
        document, _ = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as error:
        raise invalid_argument(
            f"JSON Parse error: {error.msg} at offset: {error.pos}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise format_error(document, "Is not object")
    return document


def _strict_json(body: bytes) -> Any:
    """Returns the document if it is plain JSON, 10 times faster."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def signature_name_of(document: Mapping[str, Any]) -> str:
    """Returns the signature that a request names.

    Raises:
        RequestError: INVALID_ARGUMENT, it is no string.
    """
    name = document.get("signature_name", contract.TAGS)
    if not isinstance(name, str):
        raise format_error(
            document,
            "not formatted correctly. 'signature_name' key must be a string "
            "value.",
        )
    return name or contract.TAGS


def read_inputs(
    document: Mapping[str, Any], signature: Signature
) -> dict[str, np.ndarray]:
    """Returns the input arrays of a request.

    Raises:
        RequestError: INVALID_ARGUMENT, what does not fit the signature;
            UNIMPLEMENTED, an input in columns of a dtype that JSON lacks.
    """
    if ROWS in document and COLUMNS in document:
        raise format_error(
            document,
            "Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist",
        )
    if ROWS in document:
        rows = document[ROWS]
        if not isinstance(rows, list):
            raise format_error(
                document, "Excepting 'instances' to be an list/array"
            )
        if not rows:
            raise format_error(document, "No values in 'instances' array")
        return _read_rows(rows, signature)
    if COLUMNS in document:
        columns = _named_columns(document[COLUMNS], signature)
        return {
            name: read_tensor(value, signature.inputs[name])
            for name, value in columns.items()
        }
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def write_outputs(
    outputs: Mapping[str, np.ndarray], document: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the reply's object, in rows or columns as the request's was.

    Raises:
        RequestError: INVALID_ARGUMENT, rows wanted but outputs have none, or
            a dtype that JSON lacks.
    """
    if ROWS in document:
        _check_rows(outputs)
    lists = {name: _to_json(name, array) for name, array in outputs.items()}
    if ROWS not in document:
        # As there, a single output goes without its name.
        single = next(iter(lists.values())) if len(lists) == 1 else lists
        return {"outputs": single}
    if len(lists) == 1:
        return {"predictions": next(iter(lists.values()))}
    rows = zip(*lists.values(), strict=True)
    return {"predictions": [dict(zip(lists, row, strict=True)) for row in rows]}


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    expected = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid_argument(
                f"Tensor name: {name} has no shape information "
            )
        if expected not in (None, len(array)):
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: "
                f"{len(array)} expecting: {expected}"
            )
        expected = len(array)


def _read_rows(
    rows: Sequence[Any], signature: Signature
) -> dict[str, np.ndarray]:
    """Returns one array an input, with a row for each instance."""
    if not isinstance(rows[0], dict) and len(signature.inputs) != 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as "
            "multiple input tensors required as per tensorinfo_map"
        )
    named = _is_named(rows[0])
    columns: dict[str, list[np.ndarray]] = {n: [] for n in signature.inputs}
    for number, row in enumerate(rows):
        if _is_named(row) != named:
            wanted = (
                "object but got list"
                if named
                else ("value/list but got object")
            )
            raise invalid_argument(
                f"Expecting {wanted} at item {number} of input list"
            )
        if named:
            _read_named_row(number, row, signature, columns)
        else:
            (name,) = _only_input(signature, rows)
            _read_item(number, "", row, signature.inputs[name], columns[name])
    return {name: np.stack(arrays) for name, arrays in columns.items()}


def _read_named_row(
    number: int,
    row: Mapping[str, Any],
    signature: Signature,
    columns: Mapping[str, list[np.ndarray]],
) -> None:
    for name, value in row.items():
        if name not in signature.inputs:
            raise _in_row(
                number,
                f" key: {name}",
                f"JSON object: does not have named input: {name}",
            )
        info = signature.inputs[name]
        _read_item(number, f" key: {name}", value, info, columns[name])
    if len(row) != len(signature.inputs):
        raise invalid_argument(
            f"Failed to process element: {number} of 'instances' list. JSON "
            f"object: {quote(row)} keys must be equal to: "
            f"{','.join(sorted(signature.inputs))}"
        )


def _read_item(
    number: int,
    key: str,
    value: Any,
    info: TensorInfo,
    column: list[np.ndarray],
) -> None:
    """Adds one row's value of one input to its column."""
    try:
        array = read_tensor(value, info)
    except RequestError as error:
        # Whatever the code was: TensorFlow Serving wraps it so.
        message = f"{error.code.name}: {error.message}"
        raise _in_row(number, key, message, "") from error
    if column and column[0].size != array.size:
        raise _in_row(
            number,
            key,
            f"Expecting tensor size: {column[0].size} but got: {array.size}",
        )
    if column and column[0].shape != array.shape:
        raise _in_row(
            number,
            key,
            f"Expecting shape {list(column[0].shape)} but got: "
            f"{list(array.shape)}",
        )
    column.append(array)


def _in_row(
    number: int, key: str, message: str, code: str = "INVALID_ARGUMENT: "
) -> RequestError:
    return invalid_argument(
        f"Failed to process element: {number}{key} of 'instances' list. "
        f"Error: {code}{message}"
    )


def _named_columns(value: Any, signature: Signature) -> dict[str, Any]:
    if not _is_named(value):
        (name,) = _only_input(signature, value)
        return {name: value}
    missing = sorted(set(signature.inputs) - set(value))
    if missing:
        raise invalid_argument(
            f"Missing named input: {missing[0]} in 'inputs' object."
        )
    return {name: value[name] for name in signature.inputs}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_b64(value)


def _only_input(signature: Signature, value: Any) -> Collection[str]:
    if len(signature.inputs) != 1:
        raise invalid_argument(
            "inputs is a plain value/list, but expecting an object as "
            "multiple input tensors required as per tensorinfo_map"
        )
    return signature.inputs


def read_tensor(value: Any, info: TensorInfo) -> np.ndarray:
    """Returns the array of a JSON value; any nesting, no batch implied.

    Raises:
        RequestError: INVALID_ARGUMENT, a ragged list or a wrong type;
            UNIMPLEMENTED, a dtype that JSON lacks.
    """
    # By the first of each level, to which `_flatten` holds the others.
    shape: list[int] = []
    first = value
    while isinstance(first, list):
        shape.append(len(first))
        if len(shape) > _MAX_RANK:
            raise invalid_argument(
                f"Encountered list at unexpected level: {_MAX_RANK} "
                f"expected < {_MAX_RANK}"
            )
        first = first[0] if first else None
    leaves: list[Any] = []
    _flatten(value, 0, shape, leaves)
    return to_array(leaves, info.dtype).reshape(shape)


def _flatten(
    value: Any, level: int, shape: Sequence[int], leaves: list[Any]
) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise format_error(
                value,
                f"found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}",
            )
        leaves.append(value)
        return
    if level >= len(shape):
        raise invalid_argument(
            f"Encountered list at unexpected level: {level} expected < "
            f"{len(shape)}"
        )
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: "
            f"{level} expected size: {shape[level]}"
        )
    for item in value:
        _flatten(item, level + 1, shape, leaves)


def _to_json(name: str, array: np.ndarray) -> Any:
    if array.dtype.name not in READABLE:
        raise invalid_argument(
            "Failed to write JSON value for tensor type: "
            f"DT_{type_name(array.dtype).upper()}"
        )
    if array.dtype.kind == "O":
        # As there, the name says whether strings are text.
        convert = _to_b64 if name.endswith("_bytes") else _to_text
        return _map_leaves(array.tolist(), convert)
    return shortest(array) if array.dtype == np.float32 else array.tolist()


def shortest(array: np.ndarray) -> Any:
    """Returns float32 as lists of the shortest numbers that read back so."""
    # NumPy writes as few digits as read back; the longest have 14.
    return array.astype("U16").astype(np.float64).tolist()


def _map_leaves(value: Any, convert) -> Any:
    if isinstance(value, list):
        return [_map_leaves(item, convert) for item in value]
    return convert(value)


def _to_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _to_b64(raw: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(raw).decode("ascii")}
