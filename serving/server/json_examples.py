"""JSON <-> the messages of :classify and :regress.

After `util/json_tensor.cc` (https://github.com/tensorflow/serving): a request
has `examples`, a list of objects with features, and perhaps a `context`; the
reply has `results`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.api import protos
from serving.api.errors import invalid_argument
from serving.server.json_tensors import shortest
from serving.server.json_values import (
    decode_b64,
    encode_text,
    format_error,
    is_b64,
    json_type,
    to_array,
)

_BYTES, _FLOAT, _INT64 = "bytes", "float", "int64"


def read_input(document: Mapping[str, Any]) -> Any:
    """Returns the `tensorflow.serving.Input` of a request's object.

    Raises:
        RequestError: INVALID_ARGUMENT, no examples, or a feature that
            `tf.Example` has no place for.
    """
    request_input = protos.input_pb2.Input()
    target = request_input.example_list
    if "context" in document:
        target = request_input.example_list_with_context
        _fill_example(document["context"], target.context)
    if "examples" not in document:
        raise format_error(
            document,
            "When method is classify, key 'examples' is expected and was not "
            "found",
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise format_error(
            document, "Expecting 'examples' value to be an list/array"
        )
    if not examples:
        raise format_error(document, "'examples' value is an empty array")
    for example in examples:
        _fill_example(example, target.examples.add())
    return request_input


def write_classifications(result: Any) -> dict[str, Any]:
    """Returns the reply's object: for each example, [label, score] pairs."""
    return {
        "results": [
            [[c.label, _float(c.score)] for c in row.classes]
            for row in result.classifications
        ]
    }


def write_regressions(result: Any) -> dict[str, Any]:
    """Returns the reply's object: one number an example."""
    return {"results": [_float(row.value) for row in result.regressions]}


def _float(value: float) -> float:
    return shortest(np.array(value, np.float32))


def _fill_example(value: Any, example: Any) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(
            f"Example must be JSON object but got JSON {json_type(value)}"
        )
    # An empty object is an example, too.
    example.SetInParent()
    for name, content in value.items():
        # A value alone stands for a list of one.
        values = content if isinstance(content, list) else [content]
        _check_name(name)
        _fill_feature(name, values, example.features.feature[name])


def _check_name(name: str) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise invalid_argument(f"Feature: {name!r} is not UTF-8") from error


def _fill_feature(name: str, values: list[Any], feature: Any) -> None:
    # Of an empty list nobody can tell the kind: a feature without one.
    if not values:
        return
    kind = _kind_of(name, values[0])
    for value in values:
        if _kind_of(name, value) != kind:
            raise invalid_argument(
                f"Unexpected element type in feature: {name} expecting type: "
                f"{kind}"
            )
    if kind == _BYTES:
        feature.bytes_list.value.extend(_to_bytes(v) for v in values)
    elif kind == _FLOAT:
        numbers = to_array([float(v) for v in values], np.dtype(np.float32))
        feature.float_list.value.extend(numbers.tolist())
    else:
        feature.int64_list.value.extend(int(v) for v in values)


def _kind_of(name: str, value: Any) -> str:
    if isinstance(value, str) or is_b64(value):
        return _BYTES
    if isinstance(value, float):
        return _FLOAT
    if not isinstance(value, int):
        raise invalid_argument(
            f"Feature: {name} has element with unexpected JSON type: "
            f"{json_type(value)}"
        )
    if 2**63 <= value < 2**64:
        raise invalid_argument(
            f"Feature: {name} has uint64 element. Only int64 is supported."
        )
    # The parser makes a decimal of what no integer can hold.
    return _INT64 if -(2**63) <= value < 2**63 else _FLOAT


def _to_bytes(value: Any) -> bytes:
    return encode_text(value) if isinstance(value, str) else decode_b64(value)
