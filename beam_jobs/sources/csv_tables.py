"""Reader of plain tables: an image and its labels a row.

CSV, TSV, or JSON lines.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.files.checks import check_file
from beam_jobs.sources.cells import (
    CLASS_NAMES,
    LABEL_NAMES,
    numbers_of,
    read_class_names,
)
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    TABLE_OPTIONS,
    Columns,
    find_columns,
    table_options,
)
from beam_jobs.sources.reader import (
    ROWS_CHECKED,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    check_start,
)
from beam_jobs.sources.table_images import TableImages
from beam_jobs.sources.text_rows import TEXT_BYTES, cut_text, read_rows


def find(path: str, context: Context) -> Found:
    """Finds a table; its images lie beside it if no folder is named for them.

    A file with line breaks in quotes is one part: none may start in quotes.

    Raises:
        InputError: no such file, a wrong header, no sound row near its start,
            or confidences there that are percents.
    """
    path, size = storage.find_file(path)
    columns = columns_of(path, context.options)
    if [n.lower() for n in columns.names].count("confidence") > 1:
        raise InputError(f"{path}:1: a column confidence once; received: twice")
    read_class_names(dict(context.options).get(CLASS_NAMES.name))
    found = cut_table("csv", (path, size), columns, context)
    check_start(found.parts[0], read, "a row with an image and its labels")
    _check_confidences(found.parts[0], columns)
    if LABEL_COLUMN.name in dict(context.options):
        return found
    return replace(found, notes=(*found.notes, *_others(path, columns)))


def _others(path: str, columns: Columns) -> list[str]:
    """Returns a line on further columns that usually hold labels."""
    named = [n for n in columns.names if n.lower() in LABEL_NAMES]
    if columns.label is None or len(named) < 2:
        return []
    taken = columns.names[columns.label]
    others = ", ".join(name for name in named if name != taken)
    return [
        f"{path}: labels are in its column {taken}; there is {others}, too: "
        f"{LABEL_COLUMN.flag} takes another"
    ]


def cut_table(
    reader: str,
    file: tuple[str, int],
    columns: Columns,
    context: Context,
) -> Found:
    """Returns the parts of a table: one, where a row may have several lines.

    Args:
        reader: who reads them.
        file: path and bytes.
        columns: of the table.
        context: of the reader.

    Raises:
        InputError: as `table_options`.
    """
    options = table_options(file[0], columns, context)
    path, size = file
    whole = (
        size > TEXT_BYTES
        and not columns.is_json
        and text_files.may_break_quoted(path)
    )
    part_bytes = size if whole else TEXT_BYTES
    notes = [f"{path}: one worker reads it, as a quote may go on for lines"]
    return Found(
        cut_text(reader, path, size, options, part_bytes),
        has_splits=columns.split is not None,
        notes=tuple(notes * whole),
    )


def _check_confidences(part: Part, columns: Columns) -> None:
    """Checks that the first rows do not hold percents as 87 for 0.87.

    Raises:
        InputError: more are over 1 than between 0 and 1.
    """
    if columns.confidence is None:
        return
    values: list[float] = []
    for _, row in itertools.islice(
        _rows_of(columns)(part.lines()), ROWS_CHECKED
    ):
        with contextlib.suppress(ValueError):
            cells = _cells_of(str(row), columns)
            values += map(float, numbers_of(cells[columns.confidence]))
    over = [value for value in values if 1 < value <= 100]
    if len(over) > sum(0 < value < 1 for value in values):
        raise InputError(
            f"{part.path}: confidences of 0 to 1 are needed, or with % behind "
            f"each, as 87%; received: {over[0]:g}"
        )


def read(part: Part) -> Read:
    """Yields the rows; malformed ones become Rejections."""
    columns = columns_of(part.path, part.options)
    names = read_class_names(part.option(CLASS_NAMES.name))
    return read_table(part, TableImages(part, columns, "csv", names))


def read_table(part: Part, images: TableImages) -> Read:
    """Yields the images of rows; malformed ones become Rejections."""
    columns = images.columns

    def parse(line: str) -> tuple[AnnotatedImage, ...]:
        cells = _cells_of(line, columns)
        # Spreadsheets end in rows of delimiters.
        return (images.image_of(cells),) if any(cells) else ()

    return read_rows(part, parse, columns.has_header, _rows_of(columns))


def _rows_of(columns: Columns) -> Callable[..., Iterator[tuple[int, Any]]]:
    """Returns what makes rows of lines, each with the index of its first."""
    if columns.is_json:
        return enumerate
    return functools.partial(
        text_files.join_quoted, delimiter=columns.delimiter
    )


def columns_of(
    path: str,
    options: Sequence[tuple[str, str]],
    labels: Sequence[str] = LABEL_NAMES,
) -> Columns:
    """Returns the columns of a table, by the options that name some.

    Args:
        path: of the table.
        options: of the reader or of a part.
        labels: usual names of a column of labels.

    Raises:
        InputError: as `find_columns`.
    """
    named = dict(options)
    image, label = IMAGE_COLUMN.name, LABEL_COLUMN.name
    return find_columns(path, named.get(image), named.get(label), labels)


def _cells_of(line: str, columns: Columns) -> Sequence[Any]:
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
        raise ValueError(f"{row.detail}: a quote opens or closes in a field")
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
    takes=TABLE_OPTIONS,
    keys_hold_names=True,
    own_images=True,
)
