"""The columns of a CSV: which delimiter, which hold images and labels."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.sources.reader import SourceOption

# Of several, the first is taken.
_IMAGE_COLUMNS = (
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
    "image_id",
    "id",
)
_LABEL_COLUMNS = (
    "labels",
    "label",
    "class",
    "classes",
    "wnid",
    "tag",
    "tags",
    "category",
    "categories",
    "class_name",
    "label_name",
    "category_name",
)
URLS = ("url", "image_url")
_SPLIT_COLUMNS = ("split", "set", "subset", "data_type")
_DELIMITERS = (",", ";", "\t", "|")
_BOMS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
YES, NO = ("1", "1.0"), ("0", "0.0")

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
    """

    image: int
    label: int | None
    confidence: int | None
    names: tuple[str, ...]
    delimiter: str = ","
    has_header: bool = True
    split: int | None = None


def find_columns(
    path: str, image_column: str | None = None, label_column: str | None = None
) -> Columns:
    """Finds delimiter and columns by the first line, in upper or lower case.

    Without a column of labels, columns of 0 and 1 are one class each.

    Args:
        path: of the CSV.
        image_column, label_column: name, or position from 1.

    Raises:
        InputError: no image or label column, or no UTF-8 text.
    """
    first, second = _first_lines(path)
    tried = [
        _columns(fields, delimiter, image_column, label_column, second)
        for delimiter in _DELIMITERS
        if isinstance(fields := text_files.split_csv(first, delimiter), list)
    ]
    if found := [columns for columns in tried if columns]:
        return max(found, key=lambda columns: len(columns.names))
    if given := " and ".join(
        f"{option.flag} {value}"
        for option, value in (
            (IMAGE_COLUMN, image_column),
            (LABEL_COLUMN, label_column),
        )
        if value
    ):
        raise InputError(f"{path}:1: no {given} in: {first[:200]}")
    raise InputError(
        f"{path}:1: the header needs an image column "
        f"({', '.join(_IMAGE_COLUMNS)}) and a label column "
        f"({', '.join(_LABEL_COLUMNS)}), each once; received: {first[:200]}; "
        f"name other columns, or their positions, with {IMAGE_COLUMN.flag} "
        f"and {LABEL_COLUMN.flag}"
    )


def _first_lines(path: str) -> tuple[str, str]:
    """Returns the first two lines, empty where there is none."""
    with storage.open_read(path) as file:
        if file.read(2) in _BOMS:
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


def _columns(
    header: Sequence[str],
    delimiter: str,
    image_column: str | None,
    label_column: str | None,
    second: str,
) -> Columns | None:
    """Returns the columns if this delimiter gives them."""
    cells = tuple(name.strip() for name in header)
    names = [name.lower().replace(" ", "_") for name in cells]
    image = _position(names, image_column, _IMAGE_COLUMNS)
    label = _position(names, label_column, _LABEL_COLUMNS)
    if image is None or image == label:
        return None
    confidence = _position(names, None, ("confidence",))
    split = _position(names, None, _SPLIT_COLUMNS)
    split = None if split in (image, label) else split
    if label is None:
        row = text_files.split_csv(second, delimiter)
        if label_column or not _is_one_hot(row, image, len(names)):
            return None
        # Of 0 and 1 it is a class.
        return Columns(image, None, None, cells, delimiter)
    by_position = all(
        given and given.isdigit() and given not in names
        for given in (image_column, label_column)
    )
    usual = {*_IMAGE_COLUMNS, *_LABEL_COLUMNS} & set(names)
    has_header = bool(usual) or not by_position
    return Columns(
        image, label, confidence, cells, delimiter, has_header, split
    )


def _position(
    names: Sequence[str], given: str | None, usual: Sequence[str]
) -> int | None:
    """Returns a position from 0; None if there is none, or several."""
    if given and given.isdigit() and given not in names:
        return int(given) - 1 if 0 < int(given) <= len(names) else None
    wanted = [given.strip().lower().replace(" ", "_")] if given else usual
    name = next((name for name in wanted if name in names), None)
    return names.index(name) if name and names.count(name) == 1 else None


def _is_one_hot(row: object, image: int, count: int) -> bool:
    if not isinstance(row, list) or len(row) != count or count < 2:
        return False
    values = [value.strip() for i, value in enumerate(row) if i != image]
    return all(value in YES + NO for value in values)
