"""What a cell of a table or a field of JSON says: labels, how sure, a class."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.sources.cached_tokens import Confidences
from beam_jobs.sources.reader import SourceOption

# Of several columns or keys, the first is taken.
LABEL_NAMES = (
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
    "labelname",
    "classname",
    "class_label",
    "target",
    "objects",
)
CLASS_NAMES = SourceOption(
    "class_names",
    "class names",
    "Names of classes that a source numbers: one a line, from 0.",
    check_file,
    repeated=False,
)
BLANK, NONE = "blank", "none"
LABEL_SEPARATOR = SourceOption(
    "label_separator",
    "label separator",
    "Between the labels of a table's cell; none for a label a cell. Default: "
    "; and |, or else commas.",
    None,
    repeated=False,
    choices=(";", ",", "|", BLANK, NONE),
)
# What a data set says where it keeps a label to itself.
_NO_CLASS = -1
# A name of a file, which a class may come from, is no longer.
_LONGEST = 255
_SEPARATORS = re.compile(r"[;|]")


def labels_of(
    value: Any, names: Sequence[str] = (), separator: str | None = None
) -> list[str]:
    """Returns the labels of a value as JSON and Parquet hold it.

    A text is read as `split_labels` reads it; a number is the index of a
    name, if there are names, and else a text; a list holds such values; an
    object, or each of several, holds them under one of `LABEL_NAMES`.

    Args:
        value: of a field.
        names: by class index.
        separator: as for `split_labels`.

    Raises:
        ValueError: something else, or an index without a name.

    Example:
        >>> labels_of("dog; cat"), labels_of([0, 1], ["dog", "wine glass"])
        (['dog', 'cat'], ['dog', 'wine glass'])
        >>> labels_of({"bbox": [[1, 2, 3, 4]], "category": ["dog"]})
        ['dog']
    """
    if value is None:
        return []
    if isinstance(value, str) and not (names and value.strip().isdecimal()):
        return split_labels(value, separator)
    if isinstance(value, list | tuple):
        return [label for one in value for label in _labels_in(one, names)]
    return _labels_in(value, names)


def _labels_in(value: Any, names: Sequence[str]) -> list[str]:
    """Returns the labels of what is no list; a text is one label."""
    if isinstance(value, dict):
        found = next((n for n in LABEL_NAMES if value.get(n) is not None), None)
        if found is not None:
            return labels_of(value[found], names)
    elif isinstance(value, str):
        text = value.strip()
        return (
            name_of(int(text), names) if names and text.isdecimal() else [text]
        )
    elif isinstance(value, float) and value.is_integer():
        return name_of(int(value), names)
    elif isinstance(value, int) and not isinstance(value, bool):
        return name_of(value, names)
    raise ValueError(
        f"labels {str(value)[:80]!r}: a text, a number, a list of them, or an "
        f"object with one of {', '.join(LABEL_NAMES)} is needed"
    )


def name_of(index: int, names: Sequence[str]) -> list[str]:
    """Returns the name of a class index; none for -1, a label kept secret.

    Raises:
        ValueError: there are names, but none of this index.
    """
    if not names:
        return [str(index)]
    if index == _NO_CLASS:
        return []
    if not 0 <= index < len(names):
        raise ValueError(f"class {index}: there are {len(names)} names")
    return [names[index]]


def split_labels(text: str, separator: str | None = None) -> list[str]:
    """Returns the labels of a cell, whatever stands between them.

    `;` and `|` do, or else commas; a list as Python or JSON prints it is one.

    Args:
        text: the cell.
        separator: what does instead, of `LABEL_SEPARATOR.choices`.

    Raises:
        ValueError: brackets or quotes around what is no list of texts.

    Example:
        >>> split_labels("dog; wine glass"), split_labels("['dog', 'cat']")
        (['dog', 'wine glass'], ['dog', 'cat'])
        >>> split_labels("haze primary", "blank"), split_labels("a, b", "none")
        (['haze', 'primary'], ['a, b'])
    """
    text = text.strip()
    if separator == NONE:
        return [text]
    if separator == BLANK:
        return text.split()
    if text[:1] in "[(" and text[-1:] in "])" and text:
        return _list_of(text)
    if separator:
        parts = text.split(separator)
    elif not (parts := _SEPARATORS.split(text))[1:]:
        parts = text.split(",")
    return [part.strip() for part in parts]


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


def confidences_of(
    value: Any, count: int, known: Confidences
) -> tuple[float, ...]:
    """Returns one confidence a label: the row's, or one of several.

    Args:
        value: a number, its text, several in a text or a list.
        count: of labels.
        known: numbers by text.

    Raises:
        ValueError: no number of 0 to 1, or another count of them.
    """
    values = numbers_of(value)
    if len(values) == 1:
        values *= count
    if len(values) != count:
        raise ValueError(f"{len(values)} confidences for {count} labels")
    try:
        return tuple(known[text] for text in values)
    except ValueError:
        raise ValueError(
            f"confidence {str(value)[:80]!r}, not 0 to 1 nor 0% to 100%"
        ) from None


def numbers_of(value: Any) -> list[str]:
    """Returns the texts of a number, or of several in a text or a list."""
    if isinstance(value, list | tuple):
        return [str(v) for v in value]
    return [v.strip() for v in _SEPARATORS.split(str(value))]


def class_key(text: str, kind: str = "csv") -> str:
    """Returns the class key of a label as a kind of source spells it.

    Raises:
        ValueError: a text too long for the name of a class.

    Example:
        >>> class_key("n02084071"), class_key("/m/0bt9lr"), class_key("dog")
        ('n02084071', 'oi:/m/0bt9lr', 'csv:dog')
    """
    check_length(text)
    if WNID_PATTERN.fullmatch(text):
        return text
    return f"oi:{text}" if text.startswith("/") else f"{kind}:{text}"


def check_length(text: str) -> None:
    """Raises ValueError for a text too long for the name of a class."""
    if len(text) > _LONGEST:
        raise ValueError(
            f"a label of {len(text)} characters, at most {_LONGEST} are "
            f"allowed: {text[:80]!r}"
        )


def read_class_names(path: str | None) -> tuple[str, ...]:
    """Returns names by class index: one a line, from 0; () without a file.

    Raises:
        InputError: a line without a name (file:line), or no UTF-8 text.
    """
    if path is None:
        return ()
    try:
        lines = storage.read_text(path).removeprefix("\ufeff").splitlines()
    except OSError as error:
        raise InputError(f"class names: {error}") from None
    names = tuple(line.strip() for line in lines)
    while names and not names[-1]:
        names = names[:-1]
    if not all(names):
        raise InputError(
            f"{path}:{names.index('') + 1}: a name a line is needed, from "
            "class 0; received: an empty line"
        )
    return names
