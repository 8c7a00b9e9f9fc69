from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from serving.api.protos import tensor_pb2, types_pb2
from serving.api.tensor_proto import TensorError, from_proto, to_proto


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1.5, 2.0]], np.float32),
        np.array([1, -2], np.int64),
        np.array([True, False]),
        np.array([b"a", b"\xff"], object),
        np.zeros((0, 3), np.float32),
        np.array(3, np.int32),
        np.array([1.5, -2.0], np.float16),
        np.array([255], np.uint8),
        np.array([2**64 - 1], np.uint64),
        np.array([1.5, -2.0], ml_dtypes.bfloat16),
        np.array([[1 + 2j], [-3j]], np.complex64),
        np.array(0.1 - 1j, np.complex128),
    ],
)
def test_round_trip_agrees_with_tensorflow(array):
    proto = to_proto(array)
    for found in (from_proto(proto), tf.make_ndarray(proto)):
        assert found.shape == array.shape
        assert found.tolist() == array.tolist()


def test_tensor_content_is_read():
    proto = tf.make_tensor_proto(np.array([[1.0, 2.0]], np.float32))
    assert proto.tensor_content
    assert from_proto(proto).tolist() == [[1.0, 2.0]]


def test_the_last_value_repeats():
    proto = _floats([1.0, 2.0], [4])
    assert from_proto(proto).tolist() == [1.0, 2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("dtype", "field", "values", "shape"),
    [
        (tf.float32, "float_val", [1.0, 2.0], [1]),
        (tf.float32, "float_val", [], [2]),
        (tf.string, "string_val", [], [2]),
        (tf.string, "string_val", [b"a", b"b"], [1]),
        (tf.uint8, "int_val", [300, -1], [2]),
        (tf.int8, "int_val", [300, -1], [3]),
        (tf.uint64, "uint64_val", [2**64 - 1], [1]),
        (tf.float16, "half_val", [15360], [2]),
        (tf.bfloat16, "half_val", [16256], [2]),
        (tf.complex64, "scomplex_val", [1.0, 2.0, 3.0, 4.0], [1]),
        (tf.complex64, "scomplex_val", [1.0, 2.0], [2]),
    ],
)
def test_odd_messages_mean_what_they_mean_to_tensorflow(
    dtype, field, values, shape
):
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum)
    getattr(proto, field).extend(values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    expected = tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()
    found = from_proto(proto)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist()


def _floats(values, shape):
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT)
    proto.float_val.extend(values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        _floats([], [2**23]),
        _floats([1.0], [-1]),
        _floats([1.0], [2**40]),
        _floats([1.0], [1] * 9),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_RESOURCE),
        tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"abc"),
        tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING, tensor_content=b"abc"
        ),
    ],
)
def test_bad_messages(proto):
    with pytest.raises(TensorError):
        from_proto(proto)


def test_a_dtype_without_a_place():
    with pytest.raises(TensorError, match="datetime64"):
        to_proto(np.zeros(1, "datetime64[s]"))
