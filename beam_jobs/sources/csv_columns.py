"""The columns of a table: which delimiter, which hold images and labels."""

from __future__ import annotations

import codecs
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.sources.cells import CLASS_NAMES, LABEL_NAMES, LABEL_SEPARATOR
from beam_jobs.sources.reader import IMAGES, Context, SourceOption

# Of several, the first is taken.
IMAGE_COLUMNS = (
    "image",
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image_path",
    "image_file",
    "image_name",
    "img",
    "img_path",
    "url",
    "image_url",
    "img_name",
    "image_id",
    "imageid",
    "img_id",
    "id",
)
_URLS = ("url", "image_url")
# Of licence, author and URL; a URL that is the image's name is in its id.
_ORIGIN_COLUMNS = (
    ("license", "licence", "license_url"),
    ("author", "creator", "photographer"),
    ("source_url", "original_url", "flickr_url", "coco_url", *_URLS),
)
_SPLIT_COLUMNS = ("split", "set", "subset", "data_type")
_DELIMITERS = (",", ";", "\t", "|")
# Hugging Face's name of a file of its row, after any word.
_FILE_OF_ROW = "_file_name"
_JSON_LINES = (".jsonl", ".ndjson")
# Rows of JSON may lack a key that others have.
_ROWS_LOOKED_AT = 100
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_YES, _NO = ("1", "1.0", "True"), ("0", "0.0", "False")

IMAGE_COLUMN = SourceOption(
    "image_column",
    "image column",
    "Column of a CSV's images: its name, or its position from 1.",
    None,
    repeated=False,
)
LABEL_COLUMN = SourceOption(
    "label_column",
    "label column",
    "Column of a CSV's labels, likewise. Positions for both read a CSV "
    "without a header.",
    None,
    repeated=False,
)


# What a reader of tables takes.
TABLE_OPTIONS = (
    IMAGES,
    IMAGE_COLUMN,
    LABEL_COLUMN,
    LABEL_SEPARATOR,
    CLASS_NAMES,
)


class NoColumnsError(InputError):
    """A table without a column of images or of labels."""


@dataclass(frozen=True)
class Columns:
    """Positions of the columns that are read.

    Attributes:
        image: always there.
        label: None if `names` are the labels.
        confidence, split: None if there is no such column.
        names: the header, one a column.
        delimiter: between fields.
        has_header: the first line is one.
        is_json: a line is a JSON object.
        origin: of licence, author and URL, None where there is no such column;
            empty if there is none at all.
    """

    image: int
    label: int | None
    confidence: int | None
    names: tuple[str, ...]
    delimiter: str = ","
    has_header: bool = True
    split: int | None = None
    is_json: bool = False
    origin: tuple[int | None, ...] = ()


def find_columns(
    path: str,
    image_column: str | None = None,
    label_column: str | None = None,
    labels: Sequence[str] = LABEL_NAMES,
) -> Columns:
    """Finds delimiter and columns by the first line, in upper or lower case.

    Without a column of labels, columns of 0 and 1 are one class each.

    Args:
        path: of the CSV.
        image_column, label_column: name, or position from 1.
        labels: usual names of the label column.

    Raises:
        NoColumnsError: no image or label column.
        InputError: no UTF-8 text.
    """
    is_json = path.lower().endswith(_JSON_LINES)
    header, found = (_json_columns if is_json else _csv_columns)(
        path, image_column, label_column, labels
    )
    if found is None:
        place = f"{path}:1"
        raise no_columns(place, image_column, label_column, header, labels)
    return found


def _json_columns(
    path: str,
    image_column: str | None,
    label_column: str | None,
    labels: Sequence[str],
) -> tuple[str, Columns | None]:
    names, row = _keys_of(path)
    found = columns_among(names, image_column, label_column, row, labels=labels)
    if found is not None:
        found = replace(
            found, names=tuple(names), has_header=False, is_json=True
        )
    return ",".join(names), found


def _csv_columns(
    path: str,
    image_column: str | None,
    label_column: str | None,
    labels: Sequence[str],
) -> tuple[str, Columns | None]:
    first, second = _first_lines(path)
    best: Columns | None = None
    for delimiter in _DELIMITERS:
        fields = text_files.split_csv(first, delimiter)
        if isinstance(fields, text_files.BadRow):
            continue
        row = text_files.split_csv(second, delimiter)
        columns = columns_among(
            fields, image_column, label_column, row, delimiter, labels
        )
        if columns and (not best or len(columns.names) > len(best.names)):
            best = columns
    return first, best


def check_no_urls(path: str, columns: Columns) -> None:
    """Checks that the images of a table may lie beside it.

    Raises:
        InputError: it names URLs.
    """
    if columns.names[columns.image].lower() in _URLS:
        raise InputError(
            f"{path} names URLs: the folder of their images is needed, as "
            "--images FOLDER"
        )


def table_options(
    path: str, columns: Columns, context: Context, urls: bool = False
) -> list[tuple[str, str]]:
    """Returns the options of a table's parts.

    Its images lie beside it, and its name may say their split, where nothing
    else does.

    Args:
        path: of the table.
        columns: its columns.
        context: of its reader.
        urls: its images may be called after URLs that nobody downloaded.

    Raises:
        InputError: as `check_no_urls`.
    """
    options = context.part_options()
    if context.images_beside:
        if not urls:
            check_no_urls(path, columns)
        options.append((IMAGES.name, os.path.dirname(path)))
    if columns.split is None:
        options += context.split_option(path)
    return options


def no_columns(
    place: str,
    image_column: str | None,
    label_column: str | None,
    header: str,
    labels: Sequence[str] = LABEL_NAMES,
) -> NoColumnsError:
    """Returns the refusal of a table without the columns that are needed."""
    if given := " and ".join(
        f"{option.flag} {value}"
        for option, value in (
            (IMAGE_COLUMN, image_column),
            (LABEL_COLUMN, label_column),
        )
        if value
    ):
        return NoColumnsError(f"{place}: no {given} in: {header[:200]}")
    return NoColumnsError(
        f"{place}: the header needs an image column "
        f"({', '.join(IMAGE_COLUMNS)}) and a label column "
        f"({', '.join(labels)}), each once; received: {header[:200]}; "
        f"name other columns, or their positions, with {IMAGE_COLUMN.flag} "
        f"and {LABEL_COLUMN.flag}"
    )


def _first_lines(path: str) -> tuple[str, str]:
    """Returns the first two lines, empty where there is none."""
    with storage.open_read(path) as file:
        start = file.read(2)
        # Without a mark half of its bytes are 0.
        if start in _BOMS or b"\0" in start:
            raise InputError(f"{path}: UTF-16 text: save it as UTF-8")
    lines = [*itertools.islice(text_files.read_lines(path), 2), "", ""][:2]
    texts = [line if isinstance(line, str) else "" for line in lines]
    if isinstance(lines[0], text_files.BadRow):
        raise InputError(
            f"{path}:1: not a CSV file: {lines[0].detail}: save it as UTF-8"
        )
    if "\r" in texts[0]:
        raise InputError(f"{path}: lines end in CR alone: save it with LF")
    return texts[0], texts[1]


def _keys_of(path: str) -> tuple[list[str], list[Any]]:
    """Returns the keys of the first rows of JSON, and the first row's values.

    Raises:
        InputError: none of them is an object.
    """
    rows = []
    lines = text_files.read_lines(path)
    for line in itertools.islice(lines, _ROWS_LOOKED_AT):
        try:
            row = json.loads(line) if isinstance(line, str) else None
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    if not rows:
        raise InputError(
            f"{path}:1: a JSON object a line is needed, as "
            '{"file_name": "a.jpg", "label": "dog"}'
        )
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [rows[0].get(name) for name in names]


def columns_among(
    header: Sequence[str],
    image_column: str | None,
    label_column: str | None,
    row: Sequence[Any] | text_files.BadRow,
    delimiter: str = ",",
    labels: Sequence[str] = LABEL_NAMES,
) -> Columns | None:
    """Returns the columns if these names have them.

    Args:
        header: the names.
        image_column, label_column: name, or position from 1.
        row: the first one; without a column of labels it tells whether
            columns of 0 and 1 are one class each.
        delimiter: between fields.
        labels: usual names of the label column.
    """
    cells = tuple(name.strip() for name in header)
    names = [name.lower().replace(" ", "_") for name in cells]
    image = _position(names, image_column, IMAGE_COLUMNS)
    label = _position(names, label_column, labels)
    if image is None or image == label:
        return None
    confidence = _position(names, None, ("confidence",))
    split = _position(names, None, _SPLIT_COLUMNS)
    split = None if split in (image, label) else split
    if label is None:
        if label_column or not _is_one_hot(row, image, len(names)):
            return None
        # Of 0 and 1 it is a class.
        return Columns(image, None, None, cells, delimiter)
    by_position = all(
        given and given.isdigit() and given not in names
        for given in (image_column, label_column)
    )
    usual = {*IMAGE_COLUMNS, *labels} & set(names)
    has_header = bool(usual) or not by_position
    return Columns(
        image,
        label,
        confidence,
        cells,
        delimiter,
        has_header,
        split=split,
        origin=_origin(names, (image, label)),
    )


def _origin(
    names: Sequence[str], taken: tuple[int, int]
) -> tuple[int | None, ...]:
    found = [_position(names, None, usual) for usual in _ORIGIN_COLUMNS]
    if names[taken[0]] in _URLS:
        found[-1] = None
    free = [None if at in taken else at for at in found]
    return tuple(free) if set(free) != {None} else ()


def _position(
    names: Sequence[str], given: str | None, usual: Sequence[str]
) -> int | None:
    """Returns a position from 0; None if there is none, or several."""
    if given and given.isdigit() and given not in names:
        return int(given) - 1 if 0 < int(given) <= len(names) else None
    wanted = [given.strip().lower().replace(" ", "_")] if given else usual
    name = next((name for name in wanted if name in names), None)
    if name is None and usual is IMAGE_COLUMNS and not given:
        of_rows = [n for n in names if n.endswith(_FILE_OF_ROW)]
        name = of_rows[0] if len(of_rows) == 1 else None
    return names.index(name) if name and names.count(name) == 1 else None


def marked(row: Sequence[Any], columns: Columns) -> list[str]:
    """Returns the names of columns that hold 1; 0 says nothing of a class.

    Raises:
        ValueError: something else.
    """
    names: list[str] = []
    for index, value in enumerate(row):
        if index != columns.image:
            text = str(value).strip()
            if text not in _YES + _NO:
                raise ValueError(f"{text[:80]!r}: 0 or 1 is needed")
            names += [columns.names[index]] * (text in _YES)
    return names


def _is_one_hot(row: object, image: int, count: int) -> bool:
    if not isinstance(row, list) or len(row) != count or count < 2:
        return False
    values = [str(value).strip() for i, value in enumerate(row) if i != image]
    return all(value in _YES + _NO for value in values)
