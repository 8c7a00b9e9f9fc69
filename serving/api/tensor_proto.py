"""`TensorProto` <-> NumPy, without TensorFlow; safe for foreign messages.

Reads both encodings that servers use: the typed lists (`float_val`, ...) and
`tensor_content`. A typed list shorter than the shape repeats its last value,
as `tensorflow/core/framework/tensor.proto` says; an empty one means zeros, and
of one too long the rest is left out, as `tensor.cc` there has it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

import numpy as np

from serving.api.protos import tensor_pb2, types_pb2

_FIELDS: dict[int, tuple[type, str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_INT8: (np.int8, "int_val"),
    types_pb2.DT_INT16: (np.int16, "int_val"),
    types_pb2.DT_UINT16: (np.uint16, "int_val"),
    types_pb2.DT_UINT32: (np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: (np.uint64, "uint64_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_HALF: (np.float16, "half_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_STRING: (np.object_, "string_val"),
    types_pb2.DT_COMPLEX64: (np.complex64, "scomplex_val"),
    types_pb2.DT_COMPLEX128: (np.complex128, "dcomplex_val"),
}
# NumPy has no such type; it comes with TensorFlow, and clients may be without.
with contextlib.suppress(ImportError):
    from ml_dtypes import bfloat16

    _FIELDS[types_pb2.DT_BFLOAT16] = (bfloat16, "half_val")
# A complex number is two values, its real part first.
_PARTS = {"scomplex_val": np.float32, "dcomplex_val": np.float64}
_ENUM_OF: dict[np.dtype, int] = {
    np.dtype(kind): enum for enum, (kind, _) in _FIELDS.items()
}
_MAX_ELEMENTS = 2**26
# A short message must not ask for much memory.
_MAX_FILLED = 2**22


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
    proto.tensor_shape.SetInParent()  # a scalar has one too, an empty one
    add = proto.tensor_shape.dim.add
    for size in array.shape:
        add(size=size)
    field = _FIELDS[enum][1]
    values = np.ascontiguousarray(array).ravel()
    if field == "half_val":
        values = values.view(np.uint16)  # its bits
    if field in _PARTS:
        values = values.view(_PARTS[field])
    getattr(proto, field).extend(values.tolist())


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Returns the array of a message; DT_STRING gives object (bytes).

    Raises:
        TensorError: an unknown dtype, a bad shape, bytes that do not fit the
            shape, more than 2^26 elements, or more than 2^22 without a value.
    """
    if proto.dtype not in _FIELDS:
        raise TensorError(f"unsupported dtype number {proto.dtype}")
    kind, field = _FIELDS[proto.dtype]
    shape = _shape_of(proto)
    count = math.prod(shape)
    if proto.tensor_content:
        return _from_content(proto, kind, shape)
    length = 2 * count if field in _PARTS else count
    array = _from_list(getattr(proto, field)[:length], kind, field)
    missing = count - len(array)
    if missing > _MAX_FILLED:
        raise TensorError(f"{len(array)} values for shape {shape}")
    if missing:
        last = array[-1:] if len(array) else _zero(kind)
        array = np.concatenate([array, np.repeat(last, missing)])
    return array.reshape(shape)


def _from_list(values: Sequence, kind: type, field: str) -> np.ndarray:
    if field == "half_val":
        return np.array(values, np.uint32).astype(np.uint16).view(kind)
    if field in _PARTS:
        # An imaginary part that is missing leaves half a number.
        whole = len(values) // 2 * 2
        return np.array(values[:whole], _PARTS[field]).view(kind)
    if np.dtype(kind).itemsize < 4 and kind is not np.bool_:
        # Held as 32 bits, of which the lower ones count.
        return np.array(values, np.int32).astype(kind)
    return np.array(values, dtype=kind)


def _zero(kind: type) -> np.ndarray:
    return np.array([b""] if kind is np.object_ else [0], kind)


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
