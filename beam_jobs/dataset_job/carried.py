"""What travels with an image beside its labels and its bytes.

Columns of texts and lists that few images may have: null where nothing is
known, and left out of a file where nothing is known of any row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from beam_jobs.dataset import records
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.split_names import SPLITS

SPLIT = "split"
# Of a record, by column: `images.origin.Origin`, in its order.
ORIGIN = {
    "license": records.IMAGE_LICENSE,
    "author": records.IMAGE_AUTHOR,
    "source_url": records.IMAGE_SOURCE_URL,
}
# Of `images.regions.Regions`, in its order.
SIZE, BOXES, MASKS, WRONG = "size", "boxes", "masks", "wrong"
_LISTS = {
    BOXES: pa.list_(
        pa.struct(
            [
                ("key", pa.string()),
                *((c, pa.float32()) for c in ("ymin", "xmin", "ymax", "xmax")),
                ("flag", pa.uint8()),
            ]
        )
    ),
    MASKS: pa.list_(
        pa.struct([("png", pa.binary()), ("keys", pa.list_(pa.string()))])
    ),
}
COLUMNS = (SPLIT, *ORIGIN, SIZE, BOXES, MASKS, WRONG)

# Column by its name.
Carried = dict[str, pa.Array]


def to_columns(values: Mapping[str, Mapping[int, Any]], count: int) -> Carried:
    """Returns columns of so many rows, of the values that there are by row."""
    return {
        name: pa.array(map(of_row.get, range(count)), _type_of(name))
        for name, of_row in values.items()
        if of_row
    }


def read_columns(batches: Sequence[pa.RecordBatch]) -> Carried:
    """Returns the columns of all batches, one after the other."""
    names = {name for batch in batches for name in batch.schema.names}
    return {
        name: pa.concat_arrays([_column(batch, name) for batch in batches])
        for name in COLUMNS
        if name in names
    }


def _type_of(name: str) -> pa.DataType:
    return _LISTS.get(name, pa.string())


def _column(batch: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
    if name in batch.schema.names:
        return batch.column(name)
    return pa.nulls(len(batch), _type_of(name))


def same_columns(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Returns tables that all have the columns that one of them has, last."""
    names = {name for table in tables for name in table.schema.names}
    found = []
    for table in tables:
        for name in COLUMNS:
            if name in names:
                column = _column(table, name)
                if name in table.schema.names:
                    table = table.drop([name])
                table = table.append_column(name, column)
        found.append(table)
    return found


def take_columns(carried: Carried, chosen: np.ndarray) -> Carried:
    """Returns some of the rows, in the order given."""
    places = pa.array(chosen)
    return {name: column.take(places) for name, column in carried.items()}


def join_columns(
    carried: Carried, group: np.ndarray, image_ids: pa.Array
) -> tuple[Carried, list[Rejection]]:
    """Joins what the rows of each image say.

    Args:
        carried: [rows].
        group: int [rows], position of the row's image.
        image_ids: string [images].

    Returns:
        Columns [images], and a Rejection for each statement that another one
        contradicts: the first in order is used, of splits the one that is
        furthest from training. Lists are put together.
    """
    joined, rejections = {}, []
    for name, column in carried.items():
        if name in _LISTS:
            joined[name] = _join_lists(name, column, group, len(image_ids))
            continue
        joined[name], conflicts = _join(name, column, group, image_ids)
        rejections += conflicts
    return joined, rejections


def _join_lists(
    name: str, column: pa.Array, group: np.ndarray, images: int
) -> pa.Array:
    """Puts the lists of each image together: sorted, each value once."""
    found: dict[int, list[dict]] = {}
    for row in np.flatnonzero(column.is_valid()):
        found.setdefault(int(group[row]), []).extend(column[row].as_py())
    for image, values in found.items():
        once = {tuple(map(str, v.values())): v for v in values}
        found[image] = [once[key] for key in sorted(once)]
    return pa.array(map(found.get, range(images)), _LISTS[name])


def _join(
    name: str, column: pa.Array, group: np.ndarray, image_ids: pa.Array
) -> tuple[pa.Array, list[Rejection]]:
    encoded = column.dictionary_encode()
    said = np.flatnonzero(column.is_valid())
    texts = encoded.dictionary.to_pylist()
    order = sorted(range(len(texts)), key=lambda i: _rank(name, texts[i]))
    rank = np.empty(len(texts), np.int64)
    rank[order] = np.arange(len(texts))
    codes = encoded.indices.take(pa.array(said)).to_numpy(zero_copy_only=False)
    first = np.full(len(image_ids), len(texts))
    last = np.full(len(image_ids), -1)
    np.minimum.at(first, group[said], rank[codes])
    np.maximum.at(last, group[said], rank[codes])
    ordered = pa.array([*(texts[i] for i in order), None], pa.string())
    rejections = [
        Rejection(
            Reason.MALFORMED_ROW,
            image_ids[int(i)].as_py(),
            f"{name} {ordered[first[i]]} and {ordered[last[i]]}; "
            f"{ordered[first[i]]} is used",
        )
        for i in np.flatnonzero((last >= 0) & (last != first))
    ]
    return ordered.take(pa.array(first)), rejections


def _rank(name: str, text: str) -> tuple[int, str]:
    # An image that is held out somewhere is not trained on.
    return (-SPLITS.index(text) if name == SPLIT else 0, text)
