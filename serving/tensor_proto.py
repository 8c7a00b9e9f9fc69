"""`TensorProto` <-> NumPy, without TensorFlow; safe for foreign messages.

Reads both encodings that servers use: the typed lists (`float_val`, ...) and
`tensor_content`. A typed list shorter than the shape repeats its last value,
as `tensorflow/core/framework/tensor.proto` says.
"""

from __future__ import annotations

import math

import numpy as np

from serving.protos import tensor_pb2, types_pb2

_FIELDS: dict[int, tuple[type, str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_STRING: (np.object_, "string_val"),
}
_ENUM_OF: dict[np.dtype, int] = {
    np.dtype(kind): enum for enum, (kind, _) in _FIELDS.items()
}
_MAX_ELEMENTS = 2**26


class TensorError(ValueError):
    """A message that holds no tensor we can read."""


def to_proto(array: np.ndarray) -> tensor_pb2.TensorProto:
    """Returns the message of an array; object arrays hold bytes.

    Raises:
        TensorError: a dtype that has no place here.
    """
    proto = tensor_pb2.TensorProto()
    fill_proto(proto, array)
    return proto


def fill_proto(proto: tensor_pb2.TensorProto, array: np.ndarray) -> None:
    """Writes an array into an empty message, as `to_proto`.

    In its place in a larger message it need not be copied.
    """
    enum = _ENUM_OF.get(array.dtype)
    if enum is None:
        raise TensorError(f"no TensorProto for dtype {array.dtype}")
    proto.dtype = enum
    add = proto.tensor_shape.dim.add
    for size in array.shape:
        add(size=size)
    getattr(proto, _FIELDS[enum][1]).extend(array.ravel().tolist())


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Returns the array of a message; DT_STRING gives object (bytes).

    Raises:
        TensorError: an unknown dtype, a bad shape, values that do not fit
            the shape, or more than 2^26 elements.
    """
    if proto.dtype not in _FIELDS:
        raise TensorError(f"unsupported dtype number {proto.dtype}")
    kind, field = _FIELDS[proto.dtype]
    shape = _shape_of(proto)
    count = math.prod(shape)
    if proto.tensor_content:
        return _from_content(proto, kind, shape)
    values = getattr(proto, field)
    if len(values) > count or (count and not values):
        raise TensorError(f"{len(values)} values for shape {shape}")
    try:
        array: np.ndarray = np.array(list(values), dtype=kind)
    except (OverflowError, ValueError) as error:
        raise TensorError(str(error)) from error
    if len(values) < count:
        array = np.concatenate(
            [array, np.repeat(array[-1:], count - len(values))]
        )
    return array.reshape(shape)


def _shape_of(proto: tensor_pb2.TensorProto) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape):
        raise TensorError(f"not a full shape: {shape}")
    if math.prod(shape) > _MAX_ELEMENTS or len(shape) > 8:
        raise TensorError(f"too large a shape: {shape}")
    return shape


def _from_content(
    proto: tensor_pb2.TensorProto, kind: type, shape: tuple[int, ...]
) -> np.ndarray:
    if kind is np.object_:
        raise TensorError("strings belong into string_val")
    size = math.prod(shape) * np.dtype(kind).itemsize
    if len(proto.tensor_content) != size:
        raise TensorError(
            f"{len(proto.tensor_content)} bytes for shape {shape}; "
            f"{size} are needed"
        )
    array: np.ndarray = np.frombuffer(proto.tensor_content, dtype=kind)
    return array.reshape(shape).copy()
