"""Reader of plain CSVs: an image and its labels a row.

A line is a row: a quoted field may hold commas, but no line break.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping, Sequence

from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.files.checks import check_file
from beam_jobs.images.find_images import (
    ImageFolders,
    check_address,
    is_inside,
    is_url,
    path_id,
    plain_path,
)
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.sources.cached_tokens import Confidences
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    NO,
    URLS,
    YES,
    Columns,
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

_SEPARATORS = re.compile(r"[;|]")


def find(path: str, context: Context) -> Found:
    """Finds a CSV; its images lie beside it if no folder is named for them.

    Raises:
        InputError: no such file, a wrong header, or no sound row near its
            start.
    """
    path, size = storage.find_file(path)
    options = context.part_options()
    columns = _columns_of(path, dict(options))
    if not context.labels_only and "images" not in dict(options):
        if columns.names[columns.image].lower() in URLS:
            raise InputError(
                f"{path} names URLs: the folder of their images is needed, "
                "as --images FOLDER"
            )
        options.append(("images", os.path.dirname(path)))
    if columns.split is None:
        options += context.split_option(path)
    parts = cut_text("csv", path, size, options)
    check_start(parts[0], read, "a row with an image and its labels")
    return Found(parts, has_splits=columns.split is not None)


def read(part: Part) -> Read:
    """Yields the rows; malformed ones become Rejections."""
    columns = _columns_of(part.path, dict(part.options))
    folders = part.values("images")
    images = ImageFolders(folders) if folders else None
    confidences = Confidences()

    def parse(line: str) -> tuple[AnnotatedImage]:
        row = _fields(line, columns)
        image, classes, sure = _parse(row, columns, confidences)
        split = (
            None if columns.split is None else part.split_of(row[columns.split])
        )
        ref = None
        if not _is_named(image):
            ref = ImageRef(image) if images else None
        elif images:
            image = images.complete(images.match(image))
            ref = images.find(image)
        elif not is_url(image) and not is_inside(image):
            image = plain_path(image)
        image_id = f"csv/{path_id(image)}"
        return (
            AnnotatedImage(
                image_id, Source.CSV, classes, sure, ref, split=split
            ),
        )

    return read_rows(part, parse, header=columns.has_header)


def _columns_of(path: str, options: Mapping[str, str]) -> Columns:
    return find_columns(
        path, options.get(IMAGE_COLUMN.name), options.get(LABEL_COLUMN.name)
    )


def _fields(line: str, columns: Columns) -> list[str]:
    """Returns the fields of a row.

    Raises:
        ValueError: malformed.
    """
    row = text_files.split_csv(line, columns.delimiter)
    if isinstance(row, text_files.BadRow):
        raise ValueError(f"{row.detail}: a quoted field holds no line break")
    count = len(columns.names)
    if len(row) != count:
        raise ValueError(f"{len(row)} fields, not {count}")
    return row


def _parse(
    row: Sequence[str], columns: Columns, confidences: Confidences
) -> tuple[str, tuple[str, ...], tuple[float, ...]]:
    """Returns image, class keys and confidences of a row.

    Raises:
        ValueError: malformed.
    """
    image = row[columns.image].strip()
    check_address(image)
    path = plain_path(image) if _is_named(image) else image.removeprefix("/")
    if not storage.is_remote(image) and not is_inside(path):
        raise ValueError(f"{image[:200]!r}: a URL or a path is needed")
    texts = (
        _marked(row, columns)
        if columns.label is None
        else split_labels(row[columns.label])
    )
    classes = tuple(class_key(text) for text in texts if text)
    if columns.confidence is None:
        return image, classes, (1.0,) * len(classes)
    return image, classes, _sure(row[columns.confidence], classes, confidences)


def _marked(row: Sequence[str], columns: Columns) -> list[str]:
    """Returns the names of columns that hold 1; 0 says nothing of a class."""
    names: list[str] = []
    for index, value in enumerate(row):
        if index != columns.image:
            if value.strip() not in YES + NO:
                raise ValueError(f"{value[:80]!r}: 0 or 1 is needed")
            names += [columns.names[index]] * (value.strip() in YES)
    return names


def split_labels(text: str) -> list[str]:
    """Returns the labels of a cell, whatever stands between them.

    `;` and `|` do, or else commas; a list as Python or JSON prints it is one.

    Raises:
        ValueError: brackets or quotes around what is no list of texts.

    Example:
        >>> split_labels("dog; wine glass"), split_labels("['dog', 'cat']")
        (['dog', 'wine glass'], ['dog', 'cat'])
    """
    text = text.strip()
    if text[:1] in "[(" and text[-1:] in "])" and text:
        return _list_of(text)
    parts = _SEPARATORS.split(text)
    return [part.strip() for part in (parts if parts[1:] else text.split(","))]


def _list_of(text: str) -> list[str]:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = [part.strip() for part in text[1:-1].split(",")]
    if isinstance(found, str):
        found = [found]
    texts = [v.strip() for v in found if isinstance(v, str)]
    if len(texts) != len(found) or any(set(v) & set("[]'\"{}") for v in texts):
        raise ValueError(
            f"labels {text[:80]!r}: texts with ; or | or , between are needed, "
            "or a list as ['dog', 'cat']"
        )
    return texts


def _sure(
    text: str, classes: Sequence[str], confidences: Confidences
) -> tuple[float, ...]:
    """Returns one confidence a class: the row's, or one of several."""
    values = [v.strip() for v in _SEPARATORS.split(text)]
    if len(values) == 1:
        values *= len(classes)
    if len(values) != len(classes):
        raise ValueError(f"{len(values)} confidences for {len(classes)} labels")
    try:
        return tuple(confidences[value] for value in values)
    except ValueError:
        raise ValueError(f"confidence {text[:80]!r}, not 0 to 1") from None


def class_key(text: str) -> str:
    """Returns the class key of a label as the CSV spells it.

    Example:
        >>> class_key("n02084071"), class_key("/m/0bt9lr"), class_key("dog")
        ('n02084071', 'oi:/m/0bt9lr', 'csv:dog')
    """
    if WNID_PATTERN.fullmatch(text):
        return text
    return f"oi:{text}" if text.startswith("/") else f"csv:{text}"


def _is_named(image: str) -> bool:
    """Tells whether an image is looked for in the folders of images."""
    return is_url(image) or not (
        (image.startswith("/") and "?d=" not in image)
        or storage.is_remote(image)
    )


READER = Reader(
    SourceOption(
        "csv",
        "CSV source",
        "CSV or TSV with a column of images and one of labels.",
        check_file,
    ),
    find,
    read,
    bytes_an_image=60,
    takes=(IMAGES, IMAGE_COLUMN, LABEL_COLUMN),
    keys_hold_names=True,
)
