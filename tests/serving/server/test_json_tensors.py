from __future__ import annotations

import json

import numpy as np
import pytest
from grpc import StatusCode

from serving.api.errors import RequestError
from serving.saved_model.servable import Signature, TensorInfo
from serving.server import json_tensors

ONE = Signature({"x": TensorInfo(np.dtype(np.float32), None)}, {})
TEXT = Signature({"s": TensorInfo(np.dtype(object), (None,))}, {})
TWO = Signature(
    {
        "x": TensorInfo(np.dtype(np.float32), None),
        "n": TensorInfo(np.dtype(np.int32), None),
    },
    {},
)


@pytest.mark.parametrize(
    ("signature", "document", "expected"),
    [
        (ONE, {"instances": [1, 2.5]}, {"x": [1.0, 2.5]}),
        (ONE, {"instances": [[1], [2]]}, {"x": [[1.0], [2.0]]}),
        (ONE, {"instances": [{"x": 1}]}, {"x": [1.0]}),
        (ONE, {"inputs": [[1, 2]]}, {"x": [[1.0, 2.0]]}),
        (ONE, {"inputs": {"x": 3, "more": 0}}, {"x": 3.0}),
        (TEXT, {"instances": [{"b64": "YQ=="}]}, {"s": [b"a"]}),
        (TEXT, {"instances": [{"b64": "YQ"}]}, {"s": [b"a"]}),
        (TEXT, {"instances": [{"s": {"b64": "YQ=="}}]}, {"s": [b"a"]}),
        (TEXT, {"inputs": ["é"]}, {"s": ["é".encode()]}),
        (TEXT, {"inputs": [{"b64": "Y Q=\n="}]}, {"s": [b"a"]}),
        (TEXT, {"inputs": {"b64": "YQ=="}}, {"s": b"a"}),
        (
            TWO,
            {"instances": [{"x": 1, "n": 2}, {"n": 4, "x": 3}]},
            {"x": [1.0, 3.0], "n": [2, 4]},
        ),
    ],
)
def test_inputs(signature, document, expected):
    arrays = json_tensors.read_inputs(document, signature)
    assert {k: v.tolist() for k, v in arrays.items()} == expected


@pytest.mark.parametrize(
    ("signature", "document", "message"),
    [
        (ONE, {}, "Missing 'inputs' or 'instances' key"),
        (
            ONE,
            {"inputs": 1, "instances": [1]},
            "Not formatted correctly expecting only one",
        ),
        (ONE, {"instances": []}, "No values in 'instances'"),
        (ONE, {"instances": 1}, "to be an list/array"),
        (ONE, {"instances": ["a"]}, "not of expected type: float"),
        (ONE, {"instances": [True]}, "not of expected type: float"),
        (ONE, {"instances": [[1], [1, 2]]}, "tensor size: 1 but got: 2"),
        (ONE, {"instances": [[1], 1]}, "tensor|shape"),
        (
            ONE,
            {"instances": [1, {"x": 1}]},
            "value/list but got object at item 1",
        ),
        (ONE, {"instances": [{"y": 1}]}, "element: 0 key: y of 'instances'"),
        (ONE, {"inputs": {"y": 1}}, "Missing named input: x"),
        (ONE, {"inputs": [[[[[[[[[1]]]]]]]]]}, "unexpected level: 8"),
        (TWO, {"instances": [1]}, "instances is a plain list"),
        (TWO, {"inputs": {"x": 1, "n": 2**40}}, "type: int32"),
        (TWO, {"inputs": {"x": 1, "n": 1.5}}, "expected type: int32"),
        (TEXT, {"instances": [{"b64": "_-_-"}]}, "Unable to base64 decode"),
        (TEXT, {"inputs": [{"b64": 1}]}, "for base64 data"),
        (TEXT, {"instances": ["\ud800"]}, "surrogates"),
        (TEXT, {"instances": [None]}, "expected type: string"),
    ],
)
def test_bad_inputs(signature, document, message):
    with pytest.raises(RequestError, match=message) as caught:
        json_tensors.read_inputs(document, signature)
    assert caught.value.code is StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b"  \n", "The document is empty"),
        (b"{]", "at offset: 1"),
        (b"[1]", "Is not object"),
        (b"\xff", "JSON Parse error"),
        (b"[" * 100_000, "JSON Parse error"),
    ],
)
def test_bad_documents(body, message):
    with pytest.raises(RequestError, match=message):
        json_tensors.parse_document(body)


def test_trailing_bytes_and_nan_are_read_as_tensorflow_serving_does():
    document = json_tensors.parse_document(b' {"instances": [NaN]} trailing')
    assert np.isnan(document["instances"][0])


def test_bytes_that_are_no_utf8_are_kept():
    document = json_tensors.parse_document(b'{"inputs": ["\xff\xc3"]}')
    arrays = json_tensors.read_inputs(document, TEXT)
    assert arrays["s"].tolist() == [b"\xff\xc3"]


def test_quotes_are_short_however_deep_the_value():
    deep = json_tensors.parse_document(
        b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"
    )
    with pytest.raises(RequestError, match="Not formatted") as caught:
        document = {"instances": [deep], "inputs": "a" * 1_000_000}
        json_tensors.read_inputs(document, TEXT)
    assert len(caught.value.message) < 400


def test_signature_name():
    assert json_tensors.signature_name_of({}) == "serving_default"
    with pytest.raises(RequestError, match="must be a string"):
        json_tensors.signature_name_of({"signature_name": 5})


def test_outputs_in_rows_and_columns():
    one = {"a": np.array([[0.1], [1.0]], np.float32)}
    two = one | {"b": np.array([b"x", "é".encode()], object)}
    assert json_tensors.write_outputs(one, {"instances": [0]}) == {
        "predictions": [[0.1], [1.0]]
    }
    assert json_tensors.write_outputs(one, {"inputs": [0]}) == {
        "outputs": [[0.1], [1.0]]
    }
    assert json_tensors.write_outputs(two, {"instances": [0]}) == {
        "predictions": [{"a": [0.1], "b": "x"}, {"a": [1.0], "b": "é"}]
    }
    assert json_tensors.write_outputs(two, {"inputs": [0]}) == {
        "outputs": {"a": [[0.1], [1.0]], "b": ["x", "é"]}
    }


def test_outputs_named_bytes_are_base64():
    outputs = {"raw_bytes": np.array([b"\xff"], object)}
    assert json_tensors.write_outputs(outputs, {"inputs": [0]}) == {
        "outputs": [{"b64": "/w=="}]
    }


def test_floats_are_the_shortest_that_read_back():
    values = np.array([1 / 3, 1e-30, 16777216], np.float32)
    text = json.dumps(
        json_tensors.write_outputs({"a": values}, {"inputs": [0]})
    )
    assert text == '{"outputs": [0.33333334, 1e-30, 16777216.0]}'


def test_rows_need_one_batch_size():
    outputs = {"a": np.zeros(2), "b": np.zeros(3)}
    with pytest.raises(RequestError, match="inconsistent batch size"):
        json_tensors.write_outputs(outputs, {"instances": [0]})
