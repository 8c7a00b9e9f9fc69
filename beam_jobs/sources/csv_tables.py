"""Reader of plain tables: an image and its labels a row.

CSV, TSV, or JSON lines. A line is a row: a quoted field may hold commas, but
no line break.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from beam_jobs.files import storage, text_files
from beam_jobs.files.checks import check_file
from beam_jobs.sources.cells import (
    CLASS_NAMES,
    read_class_names,
)
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    Columns,
    check_no_urls,
    find_columns,
)
from beam_jobs.sources.reader import (
    IMAGES,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    check_start,
    cut_text,
    read_rows,
)
from beam_jobs.sources.table_images import TableImages


def find(path: str, context: Context) -> Found:
    """Finds a table; its images lie beside it if no folder is named for them.

    Raises:
        InputError: no such file, a wrong header, or no sound row near its
            start.
    """
    path, size = storage.find_file(path)
    options = context.part_options()
    columns = _columns_of(path, dict(options))
    read_class_names(dict(options).get(CLASS_NAMES.name))
    if not context.labels_only and "images" not in dict(options):
        check_no_urls(path, columns)
        options.append(("images", os.path.dirname(path)))
    if columns.split is None:
        options += context.split_option(path)
    parts = cut_text("csv", path, size, options)
    check_start(parts[0], read, "a row with an image and its labels")
    return Found(parts, has_splits=columns.split is not None)


def read(part: Part) -> Read:
    """Yields the rows; malformed ones become Rejections."""
    columns = _columns_of(part.path, dict(part.options))
    names = read_class_names(part.option(CLASS_NAMES.name))
    images = TableImages(part, columns, "csv", names)

    def parse(line: str) -> tuple[AnnotatedImage]:
        return (images.image_of(_cells(line, columns)),)

    return read_rows(part, parse, header=columns.has_header)


def _columns_of(path: str, options: Mapping[str, str]) -> Columns:
    return find_columns(
        path, options.get(IMAGE_COLUMN.name), options.get(LABEL_COLUMN.name)
    )


def _cells(line: str, columns: Columns) -> Sequence[Any]:
    """Returns what a row has in each column; None if it has nothing.

    Raises:
        ValueError: malformed.
    """
    if columns.is_json:
        try:
            found = json.loads(line)
        except RecursionError as error:
            raise ValueError("nested too deep") from error
        if not isinstance(found, dict):
            raise ValueError("a JSON object a line is needed")
        return [found.get(name) for name in columns.names]
    row = text_files.split_csv(line, columns.delimiter)
    if isinstance(row, text_files.BadRow):
        raise ValueError(f"{row.detail}: a quoted field holds no line break")
    if len(row) != len(columns.names):
        raise ValueError(f"{len(row)} fields, not {len(columns.names)}")
    return row


READER = Reader(
    SourceOption(
        "csv",
        "CSV source",
        "CSV, TSV or JSON lines with a column of images and one of labels.",
        check_file,
    ),
    find,
    read,
    bytes_an_image=60,
    takes=(IMAGES, IMAGE_COLUMN, LABEL_COLUMN, CLASS_NAMES),
    keys_hold_names=True,
)
