"""The columns of a Parquet file: which hold images and labels.

Hugging Face keeps the names of classes in the schema:
https://huggingface.co/docs/datasets/about_dataset_features
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from beam_jobs.errors import InputError
from beam_jobs.sources.captions import COLUMNS as CAPTION_COLUMNS
from beam_jobs.sources.cells import (
    CLASS_NAMES,
    LABEL_NAMES,
    read_class_names,
)
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    Columns,
    columns_among,
    no_columns,
)

# --help loads the readers, and this takes a while.
if TYPE_CHECKING:
    import pyarrow as pa

# The option of parts whose labels are in sentences.
CAPTIONS = "captions"


@dataclass(frozen=True)
class Layout:
    """Where a file holds images and labels.

    Attributes:
        columns: as of a CSV.
        packed: the image column holds bytes.
        names: of numbered classes.
        captions: the labels are in sentences.
    """

    columns: Columns
    packed: bool
    names: tuple[str, ...]
    captions: bool = False


def find_layout(
    path: str, schema: pa.Schema, options: Mapping[str, str]
) -> Layout:
    """Finds the columns by their types and names.

    Raises:
        InputError: no image column or no label column, or several.
    """
    told = _class_names(schema)
    packed = [f.name for f in schema if _holds_bytes(f.type)]
    image = options.get(IMAGE_COLUMN.name)
    if image is None and len(packed) == 1:
        image = packed[0]
    label = options.get(LABEL_COLUMN.name)
    usual = {name.lower() for name in schema.names} & {*LABEL_NAMES}
    if label is None and len(told) == 1 and not usual:
        label = next(iter(told))
    first = [0 if _is_mark(f.type) else None for f in schema]
    found = columns_among(schema.names, image, label, first)
    with_captions = options.get(CAPTIONS) is not None
    if with_captions:
        found = columns_among(
            schema.names, image, label, first, labels=CAPTION_COLUMNS
        )
    if found is None:
        of_labels = f"; labels are in {' and '.join(told)}" if told else ""
        header = ", ".join(schema.names) + of_labels
        given = options.get(IMAGE_COLUMN.name)
        raise no_columns(path, given, label, header)
    names = read_class_names(options.get(CLASS_NAMES.name))
    name = None if found.label is None else schema.names[found.label]
    return Layout(
        found,
        schema.names[found.image] in packed,
        names or told.get(name or "", ()),
        with_captions,
    )


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Returns the class names in Hugging Face's metadata, by column."""
    content = (schema.metadata or {}).get(b"huggingface", b"{}")
    try:
        features = json.loads(content)["info"]["features"]
        found = {name: _names_in(value) for name, value in features.items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}
    return {name: names for name, names in found.items() if names}


def _names_in(feature: Any) -> tuple[str, ...]:
    """Returns the names of a feature, or of what it is a list of."""
    if isinstance(feature, dict):
        if feature.get("_type") == "ClassLabel":
            return tuple(str(name) for name in feature.get("names") or ())
        feature = [v for k, v in feature.items() if k != "_type"]
    if isinstance(feature, list):
        return next(filter(None, map(_names_in, feature)), ())
    return ()


def _holds_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _holds_bytes(kind.field(position).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_mark(kind: pa.DataType) -> bool:
    import pyarrow as pa

    # A larger number may be a width.
    return pa.types.is_boolean(kind) or kind in (pa.int8(), pa.uint8())


def check_names(path: str, schema: pa.Schema, layout: Layout) -> None:
    """Checks that numbers as labels have names.

    Raises:
        InputError: they do not.
    """
    import pyarrow as pa

    if layout.columns.label is None or layout.names:
        return
    field = schema.field(layout.columns.label)
    kind = field.type
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        raise InputError(
            f"{path}: {field.name} holds numbers, and no names of classes "
            f"are in the file: name them with {CLASS_NAMES.flag} FILE, a name "
            "a line, from 0"
        )
