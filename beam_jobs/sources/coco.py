"""Reader of COCO instances: objects become image-level positives.

File format: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.images.find_images import ImageFolders, is_inside
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import (
    IMAGES,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
)

# What is kept of a JSON object; polygons are 99 % of a file.
_KEPT = (
    "images",
    "annotations",
    "categories",
    "id",
    "image_id",
    "category_id",
    "file_name",
    "name",
    "synset",
)
_LISTS = ("images", "annotations", "categories")
_CHECKED_BYTES = 64


def find(path: str, context: Context) -> Found:
    """Finds a file, which is one part: JSON cannot be cut.

    Raises:
        InputError: no such file, or one that is no whole JSON object.
    """
    path, size = storage.find_file(path)
    with storage.open_read(path) as file:
        head = file.read(_CHECKED_BYTES)
        file.seek(max(0, size - _CHECKED_BYTES))
        tail = file.read()
    if not (head.lstrip().startswith(b"{") and tail.rstrip().endswith(b"}")):
        raise InputError(
            f"{path}: a JSON object with images, annotations and categories "
            "is needed; the file does not start with '{' and end with '}'"
        )
    options = tuple(context.part_options())
    return Found([Part("coco", path, files=((path, size),), options=options)])


def read(part: Part) -> Read:
    """Yields the images with the classes of their objects, each class once.

    Crowds count; an image without objects has no classes. What is malformed
    becomes Rejections: an image, an annotation, or the whole file.
    """
    folders = ImageFolders(part.values("images") or ("",))
    with_images = bool(part.values("images"))
    try:
        images, annotations, names = _load(part.path)
    except (ValueError, RecursionError) as error:
        detail = f"not a COCO file: {error}"
        yield Rejection(Reason.MALFORMED_RECORD, part.path, detail, part.path)
        return
    keys = {
        name["id"]: _class_key(name)
        for name in names
        if _has(name, "id", "name")
    }
    classes: dict[Any, dict[str, None]] = {
        image["id"]: {} for image in images if _has(image, "id")
    }
    yield from _join(part.path, annotations, classes, keys)
    for index, image in enumerate(images):
        if not _has(image, "id", "file_name") or not is_inside(
            str(image["file_name"])
        ):
            yield _malformed(
                part.path, f"images[{index}]", "no id, or no relative path"
            )
            continue
        name = str(image["file_name"])
        found = tuple(classes[image["id"]])
        yield AnnotatedImage(
            f"coco/{_stem(name)}",
            Source.COCO,
            found,
            (1.0,) * len(found),
            folders.find(name) if with_images else None,
        )


def _load(path: str) -> tuple[list, list, list]:
    """Returns images, annotations and categories.

    Raises:
        ValueError: not such a file.
    """
    with storage.open_read(path) as file:
        content = json.load(file, object_hook=_keep)
    lists = [
        content.get(name) if isinstance(content, dict) else None
        for name in _LISTS
    ]
    found = [entries for entries in lists if isinstance(entries, list)]
    if len(found) < len(_LISTS):
        raise ValueError(f"the lists {', '.join(_LISTS)} are needed")
    return found[0], found[1], found[2]


def _keep(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in _KEPT if name in entry}


def _class_key(category: dict[str, Any]) -> str:
    """Returns the class key of a category; LVIS names its WordNet synset."""
    name = str(category.get("synset") or category["name"]).strip()
    return name if WNID_PATTERN.fullmatch(name) else f"coco:{name}"


def _has(entry: Any, *names: str) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), int | str) for name in names
    )


def _join(
    path: str,
    annotations: Sequence[Any],
    classes: dict[Any, dict[str, None]],
    keys: dict[Any, str],
) -> Iterator[Rejection]:
    """Adds every annotation's class to its image."""
    for index, entry in enumerate(annotations):
        if not _has(entry, "image_id", "category_id"):
            detail = "no image_id or category_id"
        elif entry["image_id"] not in classes:
            detail = f"image_id {entry['image_id']!r} is in no image"
        elif entry["category_id"] not in keys:
            detail = f"category_id {entry['category_id']!r} is no category"
        else:
            classes[entry["image_id"]][keys[entry["category_id"]]] = None
            continue
        yield _malformed(path, f"annotations[{index}]", detail)


def _malformed(path: str, item: str, detail: str) -> Rejection:
    return Rejection(Reason.MALFORMED_RECORD, f"{path}:{item}", detail, path)


def _stem(name: str) -> str:
    name = name.rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


READER = Reader(
    SourceOption(
        "coco", "COCO source", "COCO JSON file of instances.", check_file
    ),
    find,
    read,
    # Polygons are most of a file.
    bytes_an_image=3800,
    takes=(IMAGES,),
    needs=(IMAGES,),
    keys_hold_names=True,
)
