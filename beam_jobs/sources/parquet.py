"""Reader of Parquet tables: image bytes or paths, and labels, a row.

Hugging Face keeps an image as `{bytes, path}` and the names of its classes
in the schema: https://huggingface.co/docs/datasets/about_arrow. img2dataset
has a column of bytes. Such bytes are compressed within the file, so they are
handed on, and lie beside the rows until the job is done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.cells import (
    CLASS_NAMES,
    LABEL_NAMES,
    LABEL_SEPARATOR,
    read_class_names,
)
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    Columns,
    check_no_urls,
    columns_among,
    no_columns,
)
from beam_jobs.sources.reader import (
    IMAGES,
    Context,
    Found,
    PackedImage,
    Part,
    Read,
    Reader,
    SourceOption,
)
from beam_jobs.sources.table_images import TableImages

_SUFFIX = ".parquet"
# Images are some hundred kilobytes each.
_ROWS_AT_ONCE = 32
_PART_BYTES = 64 << 20


@dataclass(frozen=True)
class Layout:
    """Where a file holds images and labels.

    Attributes:
        columns: as of a CSV.
        packed: the image column holds bytes.
        names: of numbered classes.
    """

    columns: Columns
    packed: bool
    names: tuple[str, ...]


def find(path: str, context: Context) -> Found:
    """Finds a file, or a folder's files `*.parquet` at any depth.

    Raises:
        InputError: no such file, no Parquet, no image or label column, or
            numbers as labels and no names for them.
    """
    if os.path.isfile(path):
        base, files = os.path.dirname(path), [storage.find_file(path)]
    else:
        base, files = path, _list(path)
    options = context.part_options(("folder", os.path.join(base, "")))
    named = "images" in dict(options)
    parts: list[Part] = []
    images, has_splits = 0, False
    for file in files:
        with storage.open_read(file[0]) as opened:
            table = _open(file[0], opened)
            layout = find_layout(file[0], table.schema_arrow, dict(options))
            images += table.metadata.num_rows
            _check_names(file[0], table.schema_arrow, layout)
            own = [*options]
            if layout.columns.split is None:
                own += context.split_option(file[0])
            if not named and not context.labels_only:
                if not layout.packed:
                    check_no_urls(file[0], layout.columns)
                own.append(("images", os.path.dirname(file[0])))
            parts += _cut(file, table.metadata, own)
            has_splits |= layout.columns.split is not None
    return Found(parts, images=images, has_splits=has_splits)


def _list(path: str) -> list[tuple[str, int]]:
    pattern = storage.join(storage.escape(path), "**")
    found = storage.list_files(pattern) or storage.list_files(path)
    files = [f for f in found if f[0].lower().endswith(_SUFFIX)]
    if not files:
        raise InputError(f"no Parquet files: no *{_SUFFIX} in {path}")
    return files


def _open(path: str, file: Any) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a Parquet file: {error}") from None


def _cut(
    file: tuple[str, int], metadata: pq.FileMetaData, options: list
) -> list[Part]:
    """Returns parts of whole row groups, each some seconds of work."""
    parts, start, size = [], 0, 0
    for group in range(metadata.num_row_groups):
        size += metadata.row_group(group).total_byte_size
        if size >= _PART_BYTES or group == metadata.num_row_groups - 1:
            groups = ("row_groups", f"{start}:{group + 1}")
            parts.append(
                Part(
                    "parquet",
                    file[0],
                    files=(file,),
                    options=(groups, *options),
                )
            )
            start, size = group + 1, 0
    return parts


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
    if pa.types.is_struct(kind):
        position = kind.get_field_index("bytes")
        return position >= 0 and _holds_bytes(kind.field(position).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_mark(kind: pa.DataType) -> bool:
    # A larger number may be a width.
    return pa.types.is_boolean(kind) or kind in (pa.int8(), pa.uint8())


def _check_names(path: str, schema: pa.Schema, layout: Layout) -> None:
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


def read(part: Part) -> Read:
    """Yields the rows; malformed ones, and broken pages, are Rejections.

    The id of an image whose bytes are in the row is file and row.
    """
    path = part.path
    with storage.open_read(path) as file:
        try:
            table = _open(path, file)
            layout = find_layout(path, table.schema_arrow, dict(part.options))
            yield from _images(part, layout, _rows(part, table, layout))
        except (InputError, pa.ArrowException, OSError) as error:
            yield Rejection(Reason.UNREADABLE_ARCHIVE, path, str(error), path)


def _rows(
    part: Part, table: pq.ParquetFile, layout: Layout
) -> Iterator[tuple[int, list[Any]]]:
    """Yields each row's number in the file, and its values by column."""
    start, end = map(int, (part.option("row_groups") or "0:0").split(":"))
    columns = layout.columns
    wanted = {columns.image, columns.label, columns.confidence, columns.split}
    wanted |= {*columns.origin}
    names = table.schema_arrow.names
    if columns.label is None:
        wanted = {*range(len(names))}
    wanted -= {None}
    if layout.packed and part.option("labels_only"):
        wanted -= {columns.image}
    metadata = table.metadata
    number = sum(metadata.row_group(g).num_rows for g in range(start))
    kept = [names[i] for i in sorted(i for i in wanted if i is not None)]
    for batch in table.iter_batches(
        _ROWS_AT_ONCE, [*range(start, end)], kept, use_threads=False
    ):
        values = {n: batch.column(n).to_pylist() for n in kept}
        none = [None] * batch.num_rows
        for row in zip(*(values.get(n, none) for n in names), strict=True):
            yield number, [*row]
            number += 1


def _images(
    part: Part, layout: Layout, rows: Iterator[tuple[int, list[Any]]]
) -> Read:
    images = TableImages(part, layout.columns, "parquet", layout.names)
    labels_only = part.option("labels_only") is not None
    name = part.path[len(part.option("folder") or "") :]
    for number, row in rows:
        try:
            data, path = _image_in(row[layout.columns.image])
            if not layout.packed or (data is None and path):
                yield images.image_of(row, path)
            elif data is None and not labels_only:
                raise ValueError("no image")
            else:
                image = images.named(row, f"{name}/{number}")
                yield image if data is None else PackedImage(image, data)
        except ValueError as error:
            item = f"{part.path}:{number}"
            yield Rejection(
                Reason.MALFORMED_RECORD, item, str(error), part.path
            )


def _image_in(value: Any) -> tuple[bytes | None, str]:
    """Returns the bytes of an image column's value, and its path."""
    if isinstance(value, dict):
        return value.get("bytes"), str(value.get("path") or "")
    if isinstance(value, bytes):
        return value, ""
    return None, "" if value is None else str(value)


READER = Reader(
    SourceOption(
        "parquet",
        "Parquet source",
        "Parquet file, or folder of them: image bytes or paths, and labels.",
        check_file,
    ),
    find,
    read,
    takes=(
        IMAGES,
        IMAGE_COLUMN,
        LABEL_COLUMN,
        LABEL_SEPARATOR,
        CLASS_NAMES,
    ),
    keys_hold_names=True,
    packed=True,
)
