"""Reader of Parquet tables: image bytes or paths, and labels, a row.

Hugging Face keeps an image as `{bytes, path}` and the names of its classes
in the schema: https://huggingface.co/docs/datasets/about_arrow. img2dataset
has a column of bytes. Such bytes are compressed within the file, so they are
handed on, and lie beside the rows until the job is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.images.image_names import count_suffixes
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import captions
from beam_jobs.sources.captions import CaptionedImages
from beam_jobs.sources.csv_columns import (
    TABLE_OPTIONS,
    NoColumnsError,
    table_options,
)
from beam_jobs.sources.parquet_layout import (
    CAPTIONS,
    Layout,
    check_names,
    find_layout,
)
from beam_jobs.sources.reader import (
    Context,
    Found,
    PackedImage,
    Part,
    Read,
    Reader,
    SourceOption,
    malformed,
)
from beam_jobs.sources.table_images import TableImages

# --help loads the readers, and this takes a while.
if TYPE_CHECKING:
    import pyarrow.parquet as pq

_SUFFIX = ".parquet"
# Images are some hundred kilobytes each.
_ROWS_AT_ONCE = 32
_PART_BYTES = 64 << 20


def find_any(path: str, context: Context) -> Found:
    """Finds tables of labels, or else of captions.

    Raises:
        InputError: as `find`.
    """
    try:
        return find(path, context)
    except NoColumnsError as error:
        try:
            found = find_captions(path, context)
            return replace(found, notes=(captions.note(path),))
        except NoColumnsError:
            raise error from None


def find_captions(path: str, context: Context) -> Found:
    """Finds tables as `find` does whose labels are in captions."""
    options = (*context.options, (CAPTIONS, "yes"))
    return find(path, replace(context, options=options))


def find(path: str, context: Context) -> Found:
    """Finds a file, or a folder's files `*.parquet` at any depth.

    Raises:
        NoColumnsError: no image or label column.
        InputError: no such file, no Parquet, or numbers as labels and no
            names for them.
    """
    others: list[str] = []
    if os.path.isfile(path):
        base, files = os.path.dirname(path), [storage.find_file(path)]
    else:
        base, (files, others) = path, _list(path)
    folder = ("folder", os.path.join(base, ""))
    parts: list[Part] = []
    images, has_splits = 0, False
    for file in files:
        with storage.open_read(file[0]) as opened:
            table = _open(file[0], opened)
            layout = find_layout(
                file[0], table.schema_arrow, dict(context.options)
            )
            images += table.metadata.num_rows
            check_names(file[0], table.schema_arrow, layout)
            options = table_options(
                file[0], layout.columns, context, urls=layout.packed
            )
            parts += _cut(file, table.metadata, [folder, *options])
            has_splits |= layout.columns.split is not None
    if not images:
        raise InputError(f"{path}: rows are needed; received: none")
    return Found(
        parts,
        images=images,
        has_splits=has_splits,
        passed_over=count_suffixes(others),
    )


def _list(path: str) -> tuple[list[tuple[str, int]], list[str]]:
    """Returns a folder's files to read, and paths of all others.

    Raises:
        InputError: there is none to read.
    """
    pattern = storage.join(storage.escape(path), "**")
    found = storage.list_files(pattern) or storage.list_files(path)
    files = [f for f in found if f[0].lower().endswith(_SUFFIX)]
    if not files:
        raise InputError(f"no Parquet files: no *{_SUFFIX} in {path}")
    return files, [f[0] for f in found if f not in files]


def _open(path: str, file: Any) -> pq.ParquetFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

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


def read(part: Part) -> Read:
    """Yields the rows; malformed ones, and broken pages, are Rejections.

    The id of an image whose bytes are in the row is file and row.
    """
    import pyarrow as pa

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
    if layout.packed and part.labels_only:
        wanted -= {columns.image}
    metadata = table.metadata
    number = sum(metadata.row_group(g).num_rows for g in range(start))
    kept = [names[i] for i in sorted(i for i in wanted if i is not None)]
    # Beam's workers take the cores already.
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
    kind = CaptionedImages if layout.captions else TableImages
    images = kind(part, layout.columns, "parquet", layout.names)
    name = part.path[len(part.option("folder") or "") :]
    for number, row in rows:
        try:
            data, path = _image_in(row[layout.columns.image])
            if not layout.packed or (data is None and path):
                yield images.image_of(row, path)
            elif data is None and not part.labels_only:
                raise ValueError("no image")
            else:
                image = images.named(row, f"{name}/{number}")
                yield image if data is None else PackedImage(image, data)
        except ValueError as error:
            yield malformed(part.path, number, error)


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
    find_any,
    read,
    takes=TABLE_OPTIONS,
    keys_hold_names=True,
    packed=True,
    own_images=True,
)
