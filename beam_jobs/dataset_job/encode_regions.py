"""Boxes and masks of images -> entries of their records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from beam_jobs.dataset import records
from beam_jobs.dataset.read_records import Ragged
from beam_jobs.dataset_job import carried, encode_records
from beam_jobs.dataset_job.encode_records import EncodedRows
from beam_jobs.images import regions


def with_regions(
    entries: EncodedRows, rows: pa.Table, ids: Mapping[str, int]
) -> EncodedRows:
    """Adds boxes and masks to the entries of rows, where there are any.

    Args:
        rows: with the columns of `carried`.
        ids: class index by class key; what other keys name is background.
    """
    if carried.BOXES in rows.column_names:
        column = rows.column(carried.BOXES).to_pylist()
        entries = encode_records.join(entries, *_boxes(column, ids))
    if carried.MASKS in rows.column_names:
        column = rows.column(carried.MASKS).to_pylist()
        masks = [_mask(said[0], ids) if said else b"" for said in column]
        found = encode_records.encode_texts(records.IMAGE_MASK, masks)
        entries = encode_records.join(entries, found)
    return entries


def _boxes(
    column: list[list[dict[str, Any]] | None], ids: Mapping[str, int]
) -> list[EncodedRows]:
    known = [[b for b in said or () if b["key"] in ids] for said in column]
    splits = np.cumsum([0, *map(len, known)])
    boxes = [box for said in known for box in said]
    corners = [[b["ymin"], b["xmin"], b["ymax"], b["xmax"]] for b in boxes]
    return encode_objects(
        splits,
        np.array([ids[b["key"]] for b in boxes], np.int64),
        np.array(corners, np.float32).reshape(-1),
        np.array([b["flag"] for b in boxes], np.int64),
    )


def encode_objects(
    splits: np.ndarray,
    classes: np.ndarray,
    boxes: np.ndarray,
    flags: np.ndarray,
) -> list[EncodedRows]:
    """Returns the entries `object/*` of each row.

    Args:
        splits: int64 [rows + 1], of the objects.
        classes, flags: int64 [objects].
        boxes: float32 [4 x objects].
    """
    encode_ints = encode_records.encode_ints
    return [
        encode_records.encode_floats(records.OBJECT_BOX, 4 * splits, boxes),
        encode_ints(records.OBJECT_CLASS, splits, classes),
        encode_ints(records.OBJECT_FLAG, splits, flags),
    ]


def encode_parsed(entries: EncodedRows, rows: Mapping[str, Any]) -> EncodedRows:
    """Adds boxes and masks of parsed records to the entries of others."""
    classes: Ragged = rows[records.OBJECT_CLASS]
    if len(classes.values):
        boxes, flags = (
            rows[name].values
            for name in (records.OBJECT_BOX, records.OBJECT_FLAG)
        )
        splits = np.asarray(classes.row_splits)
        found = encode_objects(splits, classes.values, boxes, flags)
        entries = encode_records.join(entries, *found)
    masks = rows[records.IMAGE_MASK].tolist()
    if any(masks):
        found_masks = encode_records.encode_texts(records.IMAGE_MASK, masks)
        entries = encode_records.join(entries, found_masks)
    return entries


def _mask(said: Mapping[str, Any], ids: Mapping[str, int]) -> bytes:
    """Returns a mask with the vocabulary's numbers."""
    table = np.zeros(256, np.uint8)
    table[regions.VOID] = regions.VOID
    for place, key in enumerate(said["keys"], start=1):
        # The count of classes was checked before the job.
        table[place] = ids.get(key, -1) + 1
    return regions.write_mask(table[regions.read_mask(said["png"])])
