"""Many records at once -> serialized `tf.train.Example`s.

Building protocol buffers field by field costs more than all other work on a
record without an image. The wire format of an Example is a list of entries,
one a feature, so each feature is encoded for all rows by a compiled loop and
the entries of a row are joined. The tests hold it to protobuf's own messages.

Wire format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numba
import numpy as np

from beam_jobs.dataset import records
from beam_jobs.labels import ledger as ledger_
from beam_jobs.labels.label_rules import LabelledBatch
from beam_jobs.labels.ragged_columns import Annotations

# Field numbers of tf.train.Feature, as tags of length-delimited fields.
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 0x0A, 0x12, 0x1A
_FIELD_1, _FIELD_2 = 0x0A, 0x12


class EncodedRows(NamedTuple):
    """Bytes of every row, one after the other.

    Attributes:
        data: uint8 [bytes].
        splits: int64 [rows + 1].
    """

    data: np.ndarray
    splits: np.ndarray

    def rows(self) -> Iterator[bytes]:
        """Yields the bytes of each row."""
        data, splits = self.data.tobytes(), self.splits.tolist()
        for start, end in zip(splits, splits[1:], strict=False):
            yield data[start:end]


def encode_labels(
    batch: LabelledBatch, annotations: Annotations
) -> EncodedRows:
    """Returns the entries `absent/*`, `annotation/*`, `label/*` of each row.

    Args:
        batch: as `LabelRules.label` returns it.
        annotations: what it was made of.
    """
    labels, hidden = batch.labels, batch.hidden
    kept = np.concatenate(([0], np.cumsum(hidden)))[annotations.row_splits]
    ledger = ledger_.ledger_codes(
        labels.rules.astype(np.int64), labels.sources.astype(np.int64)
    )
    splits = labels.row_splits
    # An annotated label is its own parent, which goes without saying.
    added = labels.parents != labels.ids
    added_splits = np.concatenate(([0], np.cumsum(added)))[splits]
    return join(
        encode_ints(records.ABSENT_ID, batch.absent_splits, batch.absent_ids),
        encode_floats(
            records.ANNOTATION_CONFIDENCE, kept, annotations.confidences[hidden]
        ),
        encode_ints(records.ANNOTATION_ID, kept, annotations.ids[hidden]),
        encode_ints(
            records.ANNOTATION_SOURCE, kept, annotations.sources[hidden]
        ),
        encode_floats(records.LABEL_CONFIDENCE, splits, labels.confidences),
        encode_ints(records.LABEL_ID, splits, labels.ids),
        encode_ints(records.LABEL_LEDGER, splits, ledger),
        encode_ints(records.LABEL_PARENT, added_splits, labels.parents[added]),
    )


def encode_ids(image_ids: Sequence[str]) -> EncodedRows:
    """Returns the entry `image/id` of each row."""
    return encode_texts(records.IMAGE_ID, [i.encode() for i in image_ids])


def encode_texts(name: str, texts: Sequence[bytes]) -> EncodedRows:
    """Returns the entry of a bytes feature; empty texts have none."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return EncodedRows(
        *_encode_bytes(
            _name_field(name),
            np.concatenate(([0], np.cumsum(lengths))),
            _bytes_array(b"".join(texts)),
        )
    )


def encode_sizes(heights: np.ndarray, widths: np.ndarray) -> EncodedRows:
    """Returns the entries `image/height`, `image/width` of each row."""
    splits = np.arange(len(heights) + 1)
    return join(
        encode_ints(records.IMAGE_HEIGHT, splits, heights),
        encode_ints(records.IMAGE_WIDTH, splits, widths),
    )


def encode_ints(
    name: str, row_splits: np.ndarray, values: np.ndarray
) -> EncodedRows:
    """Returns the entry of an int64 feature; rows without values have none."""
    return EncodedRows(
        *_encode_ints(
            _name_field(name),
            row_splits.astype(np.int64),
            values.astype(np.int64),
        )
    )


def encode_floats(
    name: str, row_splits: np.ndarray, values: np.ndarray
) -> EncodedRows:
    """Returns the entry of a float feature; rows without values have none."""
    return EncodedRows(
        *_encode_floats(
            _name_field(name),
            row_splits.astype(np.int64),
            np.ascontiguousarray(values, "<f4").copy().view(np.uint8),
        )
    )


def bytes_entry(name: str, value: bytes) -> bytes:
    """Returns the entry of a feature with one bytes value."""
    start = _delimited(_FIELD_1, name.encode())
    values = b"\x0a" + _varint(len(value))
    list_size = len(values) + len(value)
    feature = b"\x0a" + _varint(list_size)
    feature_size = len(feature) + list_size
    second = b"\x12" + _varint(feature_size)
    size = len(start) + len(second) + feature_size
    # One join, so that the bytes of an image are copied once.
    return b"".join(
        (b"\x0a", _varint(size), start, second, feature, values, value)
    )


def to_examples(rows: EncodedRows) -> EncodedRows:
    """Returns whole messages, given all entries of each row."""
    return EncodedRows(*_wrap(rows.data, rows.splits))


def example_of(*entries: bytes) -> bytes:
    """Returns one whole message, given its entries."""
    length = sum(map(len, entries))
    return b"".join((bytes((_FIELD_1,)), _varint(length), *entries))


def join(first: EncodedRows, *others: EncodedRows) -> EncodedRows:
    """Joins the bytes of each row."""
    for other in others:
        first = EncodedRows(*_join(*first, *other))
    return first


def _name_field(name: str) -> np.ndarray:
    return _bytes_array(_delimited(_FIELD_1, name.encode()))


def _bytes_array(data: bytes) -> np.ndarray:
    # Writable: each kind of array costs another compilation.
    return np.frombuffer(data, np.uint8).copy()


def _delimited(tag: int, value: bytes) -> bytes:
    return b"".join((bytes((tag,)), _varint(len(value)), value))


@functools.lru_cache(maxsize=1 << 16)
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# Varints of numbers from 0 on: a record has no negative one.
@numba.njit(cache=True)
def _size(value):
    size = 1
    while value > 0x7F:
        value >>= 7
        size += 1
    return size


@numba.njit(cache=True)
def _put(data, at, value):
    while value > 0x7F:
        data[at] = value & 0x7F | 0x80
        value >>= 7
        at += 1
    data[at] = value
    return at + 1


@numba.njit(cache=True)
def _copy(source, start, end, data, at):
    for i in range(start, end):
        data[at] = source[i]
        at += 1
    return at


@numba.njit(cache=True)
def _entry_size(name_size, payload):
    values = 1 + _size(payload) + payload
    feature = 1 + _size(values) + values
    entry = name_size + 1 + _size(feature) + feature
    return 1 + _size(entry) + entry


@numba.njit(cache=True)
def _put_head(data, at, name, tag, payload):
    """Writes all of an entry but its values; returns where they begin."""
    values = 1 + _size(payload) + payload
    feature = 1 + _size(values) + values
    entry = len(name) + 1 + _size(feature) + feature
    data[at] = _FIELD_1
    at = _copy(name, 0, len(name), data, _put(data, at + 1, entry))
    data[at] = _FIELD_2
    at = _put(data, at + 1, feature)
    data[at] = tag
    at = _put(data, at + 1, values)
    data[at] = _FIELD_1
    return _put(data, at + 1, payload)


@numba.njit(cache=True)
def _encode_ints(name, row_splits, values):
    rows = len(row_splits) - 1
    splits = np.zeros(rows + 1, np.int64)
    payloads = np.zeros(rows, np.int64)
    for row in range(rows):
        for i in range(row_splits[row], row_splits[row + 1]):
            payloads[row] += _size(values[i])
        size = _entry_size(len(name), payloads[row]) if payloads[row] else 0
        splits[row + 1] = splits[row] + size
    data = np.empty(splits[rows], np.uint8)
    for row in range(rows):
        if payloads[row]:
            at = _put_head(data, splits[row], name, _INT64_LIST, payloads[row])
            for i in range(row_splits[row], row_splits[row + 1]):
                at = _put(data, at, values[i])
    return data, splits


@numba.njit(cache=True)
def _encode_floats(name, row_splits, values):
    rows = len(row_splits) - 1
    splits = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        payload = 4 * (row_splits[row + 1] - row_splits[row])
        size = _entry_size(len(name), payload) if payload else 0
        splits[row + 1] = splits[row] + size
    data = np.empty(splits[rows], np.uint8)
    for row in range(rows):
        start, end = 4 * row_splits[row], 4 * row_splits[row + 1]
        if end > start:
            at = _put_head(data, splits[row], name, _FLOAT_LIST, end - start)
            _copy(values, start, end, data, at)
    return data, splits


@numba.njit(cache=True)
def _encode_bytes(name, row_splits, values):
    rows = len(row_splits) - 1
    splits = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        payload = row_splits[row + 1] - row_splits[row]
        size = _entry_size(len(name), payload) if payload else 0
        splits[row + 1] = splits[row] + size
    data = np.empty(splits[rows], np.uint8)
    for row in range(rows):
        start, end = row_splits[row], row_splits[row + 1]
        if end > start:
            # A bytes value and a packed list of numbers look alike from
            # outside.
            at = _put_head(data, splits[row], name, _BYTES_LIST, end - start)
            _copy(values, start, end, data, at)
    return data, splits


@numba.njit(cache=True)
def _join(data_a, splits_a, data_b, splits_b):
    splits = splits_a + splits_b
    data = np.empty(len(data_a) + len(data_b), np.uint8)
    for row in range(len(splits) - 1):
        at = splits[row]
        at = _copy(data_a, splits_a[row], splits_a[row + 1], data, at)
        _copy(data_b, splits_b[row], splits_b[row + 1], data, at)
    return data, splits


@numba.njit(cache=True)
def _wrap(data, row_splits):
    rows = len(row_splits) - 1
    splits = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        size = row_splits[row + 1] - row_splits[row]
        splits[row + 1] = splits[row] + 1 + _size(size) + size
    out = np.empty(splits[rows], np.uint8)
    for row in range(rows):
        start, end = row_splits[row], row_splits[row + 1]
        out[splits[row]] = _FIELD_1
        at = _put(out, splits[row] + 1, end - start)
        _copy(data, start, end, out, at)
    return out, splits
