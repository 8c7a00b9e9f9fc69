"""Answers on disk: Parquet or JSON lines, one row an image.

Both have the fields of `Prediction.to_json`, after the image's name and the
file that it lies in.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from beam_jobs.files import storage
from serving.api import contract
from serving.api.prediction import Prediction, to_prediction
from serving.bulk.options import PARQUET
from serving.bulk.read_images import Image

# Rows that are compressed together: small enough to be held in memory.
_ROW_GROUP = 4096

_TAG = pa.struct(
    [
        ("name", pa.string()),
        ("wnid", pa.string()),
        ("score", pa.float32()),
        ("leaf", pa.bool_()),
        ("is_tag", pa.bool_()),
        ("parents", pa.list_(pa.string())),
    ]
)
SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("path", pa.string()),
        ("valid", pa.bool_()),
        ("tags", pa.list_(_TAG)),
        ("model_version", pa.string()),
        ("vocabulary_version", pa.string()),
    ]
)

Outputs = Mapping[str, np.ndarray]


class TagFile(Protocol):
    """A file of answers that is being written; see `open_tags`."""

    def add(self, images: Sequence[Image], outputs: Outputs) -> None:
        """Adds a row an image."""

    def close(self) -> None:
        """Completes the file."""


def open_tags(path: str, form: str, top: int | None) -> TagFile:
    """Returns a new local file to write answers to.

    Args:
        form: one of `FORMATS`.
        top: tags an image, at most; None for all.
    """
    if form == PARQUET:
        return _ParquetFile(path, top)
    return _JsonFile(path, top)


def tag_table(
    images: Sequence[Image], outputs: Outputs, top: int | None = None
) -> pa.Table:
    """Returns answers as a table of `SCHEMA`.

    Args:
        images: one a row.
        outputs: of the signature `serving_default` or `select`.
        top: tags an image, at most.
    """
    # Rows that were selected from are filled up with empty ids.
    shown = outputs[contract.WNIDS][:, :top] != b""
    counts = np.count_nonzero(shown, axis=1)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)

    def flat(name: str) -> Any:
        return outputs[name][:, :top][shown]

    columns = [
        _strings(flat(contract.NAMES)),
        _strings(flat(contract.WNIDS)),
        pa.array(flat(contract.SCORE_VALUES), pa.float32()),
        pa.array(flat(contract.LEAF), pa.bool_()),
        pa.array(flat(contract.IS_TAG), pa.bool_()),
        pa.array(
            [_split(ids) for ids in flat(contract.PARENTS)],
            pa.list_(pa.string()),
        ),
    ]
    tags = pa.StructArray.from_arrays(columns, fields=list(_TAG))
    return pa.Table.from_arrays(
        [
            pa.array([image.name for image in images], pa.string()),
            pa.array([image.path for image in images], pa.string()),
            pa.array(outputs[contract.VALID], pa.bool_()),
            pa.ListArray.from_arrays(pa.array(offsets), tags),
            _strings(outputs[contract.MODEL_VERSION]),
            _strings(outputs[contract.VOCABULARY_VERSION]),
        ],
        schema=SCHEMA,
    )


def tag_lines(
    images: Sequence[Image], outputs: Outputs, top: int | None = None
) -> Iterator[str]:
    """Yields answers as JSON lines, as `tagforest tag --format json` does."""
    for image, found in zip(images, predictions(outputs, top), strict=True):
        fields = {"image": image.name, "path": image.path, **found.to_json()}
        yield json.dumps(fields, ensure_ascii=False) + "\n"


def predictions(
    outputs: Outputs, top: int | None = None
) -> Iterator[Prediction]:
    """Yields the answer of each row; see `tag_table`."""
    texts = {
        name: _decode(values) if values.dtype == object else values.tolist()
        for name, values in outputs.items()
    }
    for row in range(len(outputs[contract.VALID])):
        found = to_prediction({n: values[row] for n, values in texts.items()})
        yield found if top is None else found.top(top)


class _ParquetFile:
    def __init__(self, path: str, top: int | None):
        self._writer = parquet.ParquetWriter(
            path, SCHEMA, compression="zstd", write_statistics=["image"]
        )
        self._top = top
        self._tables: list[pa.Table] = []
        self._rows = 0

    def add(self, images: Sequence[Image], outputs: Outputs) -> None:
        self._tables.append(tag_table(images, outputs, self._top))
        self._rows += len(images)
        if self._rows >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._tables:
            table = pa.concat_tables(self._tables).combine_chunks()
            self._writer.write_table(table, row_group_size=len(table))
        self._tables, self._rows = [], 0


class _JsonFile:
    def __init__(self, path: str, top: int | None):
        self._file = storage.open_write(path)
        self._top = top

    def add(self, images: Sequence[Image], outputs: Outputs) -> None:
        for line in tag_lines(images, outputs, self._top):
            self._file.write(line.encode())

    def close(self) -> None:
        self._file.close()


def _strings(values: np.ndarray) -> pa.Array:
    # The cast refuses what is no UTF-8.
    return pa.array(values.tolist(), pa.binary()).cast(pa.string())


# A few thousand classes come again and again.
@functools.lru_cache(maxsize=1 << 16)
def _split(ids: bytes) -> list[str]:
    return ids.decode().split(",") if ids else []


def _decode(values: np.ndarray) -> list:
    if values.ndim == 1:
        return [value.decode() for value in values]
    return [[value.decode() for value in row] for row in values]
