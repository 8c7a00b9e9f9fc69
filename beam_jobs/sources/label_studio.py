"""Reader of Label Studio's own export: choices and regions are positives.

A list of tasks, each with its data and the annotations of one or several
people: https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks.
The shorter form (JSON-MIN) has both in one object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from beam_jobs.files import storage
from beam_jobs.files.checks import check_file, check_json
from beam_jobs.images.image_names import is_encodable, is_image_name
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.cells import LABEL_NAMES
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    IMAGE_COLUMNS,
    Columns,
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
    group_files,
    malformed,
)
from beam_jobs.sources.table_images import TableImages

# Outlines and masks are most of a file, predictions nobody's answer.
_LEFT_OUT = frozenset({"points", "rle", "vertices", "predictions"})
# Of a row: where the image lies, and its labels.
_COLUMNS = Columns(0, 1, None, ("image", "labels"))
# Usual names of a control; with one choice the shorter form has a text there.
_CHOICES = ("choice", *LABEL_NAMES)
# What it puts before the name of an uploaded file.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")


def find(path: str, context: Context) -> Found:
    """Finds a file, which is one part: JSON cannot be cut.

    Raises:
        InputError: no such file, or one that is no whole JSON list.
    """
    needed = "a JSON list of tasks is needed, as Label Studio exports it"
    file = check_json(path, "[]", needed)
    options = context.file_options(file[0])
    return Found(group_files("label_studio", [file], options))


def read(part: Part) -> Read:
    """Yields the image of each task with all that its annotators say.

    An annotation that was cancelled says nothing; an image without another
    has no classes.
    """
    try:
        with storage.open_read(part.path) as file:
            text = file.read().decode("utf-8-sig")
        tasks = json.loads(text, object_hook=_keep)
    except (ValueError, RecursionError) as error:
        detail = f"not a Label Studio file: {error}"
        yield Rejection(Reason.UNREADABLE_SOURCE, part.path, detail, part.path)
        return
    images = TableImages(part, _COLUMNS, "label_studio")
    column = part.option(IMAGE_COLUMN.name)
    for index, task in enumerate(tasks):
        place = f"[{index}]"
        try:
            labels, fault = labels_of(task)
            if fault is not None:
                yield malformed(part.path, place, fault)
            yield _image_of(task, column, labels, images)
        except (ValueError, OSError) as error:
            yield malformed(part.path, place, error)


def _keep(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in entry.items() if k not in _LEFT_OUT}


def labels_of(task: Any) -> tuple[list[str], ValueError | None]:
    """Returns all labels of a task up to what is wrong with them, if anything.

    Raises:
        ValueError: it is no task.
    """
    if not isinstance(task, dict):
        raise ValueError(f"{str(task)[:80]!r}: a task is needed")
    in_data = isinstance(task.get("data"), dict)
    found: dict[str, None] = {}
    try:
        for text in _annotated(task) if in_data else _said_at_once(task):
            if not is_encodable(text):
                raise ValueError("a label holds half a character")
            found[text.strip()] = None
    except ValueError as error:
        return list(found), error
    return list(found), None


def _image_of(
    task: dict[str, Any],
    column: str | None,
    labels: list[str],
    images: TableImages,
) -> AnnotatedImage:
    """Returns the image of a task.

    Raises:
        ValueError: it has none, or several.
    """
    data = task.get("data")
    name = _name_in(data if isinstance(data, dict) else task, column)
    image = images.image_of([name, labels])
    if image.ref is None or _is_there(image.ref.path):
        return image
    folder, _, file = name.rpartition("/")
    own = images.image_of([f"{folder}/{_UPLOADED.sub('', file)}", labels])
    return own if own.ref and _is_there(own.ref.path) else image


def _is_there(path: str) -> bool:
    # Of a store it shows when it is read.
    return storage.is_remote(path) or storage.exists(path)


def _name_in(data: dict[str, Any], column: str | None) -> str:
    """Returns the path or URL of the image among a task's data.

    Raises:
        ValueError: there is none, or it is unclear which.
    """
    texts = {k: v for k, v in data.items() if isinstance(v, str) and v}
    for key in IMAGE_COLUMNS if column is None else (column,):
        if key in texts:
            return texts[key]
    files = [v for v in texts.values() if _is_image(v)]
    if len(files) != 1 or column is not None:
        raise ValueError(
            f"data with one image is needed; received: {', '.join(data)[:200]}"
            f"; name its key with {IMAGE_COLUMN.flag}"
        )
    return files[0]


def _is_image(text: str) -> bool:
    return is_image_name(text.partition("?d=")[2] or text.partition("?")[0])


def _annotated(task: dict[str, Any]) -> Iterator[str]:
    """Yields the labels of all annotations that were not cancelled.

    Raises:
        ValueError: a malformed one.
    """
    annotations = task.get("annotations") or task.get("completions") or []
    if not isinstance(annotations, list):
        raise ValueError("a list of annotations is needed")
    for entry in annotations:
        if not isinstance(entry, dict):
            raise ValueError(f"annotation {str(entry)[:80]!r}: no object")
        if not entry.get("was_cancelled"):
            results = entry.get("result") or []
            yield from _said_in(
                [r.get("value") for r in results if isinstance(r, dict)]
            )


def _said_at_once(task: dict[str, Any]) -> Iterator[str]:
    """Yields the labels of a task in the shorter form.

    Raises:
        ValueError: labels that are no texts.
    """
    for key in _CHOICES:
        if isinstance(text := task.get(key), str):
            yield text
    yield from _said_in([*task.values()])


def _said_in(values: list[Any]) -> Iterator[str]:
    """Yields the labels of results, `choices`, `taxonomy`, `...labels`.

    Raises:
        ValueError: labels that are no texts.
    """
    for value in values:
        if isinstance(value, list):
            yield from _said_in([v for v in value if isinstance(v, dict)])
        for key, found in value.items() if isinstance(value, dict) else ():
            if key == "taxonomy" and isinstance(found, list):
                # A path from the root of a tree to the class.
                found = [
                    way[-1] if isinstance(way, list) else way for way in found
                ]
            elif key != "choices" and not key.endswith("labels"):
                continue
            found = [found] if isinstance(found, str) else found
            if not isinstance(found, list) or not all(
                isinstance(text, str) for text in found
            ):
                raise ValueError(f"{key} {str(found)[:80]!r}: no texts")
            yield from found


READER = Reader(
    SourceOption(
        "label_studio",
        "Label Studio export",
        "JSON file that Label Studio exports.",
        check_file,
    ),
    find,
    read,
    bytes_an_image=1000,
    takes=(IMAGES, IMAGE_COLUMN),
    needs=(IMAGES,),
    keys_hold_names=True,
)
