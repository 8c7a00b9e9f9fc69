"""Reader of COCO instances and panoptic segments: image-level positives.

File format: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file, check_json
from beam_jobs.images.image_folders import ImageFolders
from beam_jobs.images.image_names import (
    is_image_name,
    is_inside,
    path_id,
    plain_path,
)
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.origin import Origin, make_origin
from beam_jobs.images.regions import Box
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import coco_boxes
from beam_jobs.sources.cells import check_length
from beam_jobs.sources.coco_entries import has, id_of, keys_of
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

# What is kept of a JSON object; polygons are 99 % of a file.
_KEPT = (
    "images",
    "annotations",
    "categories",
    "id",
    "image_id",
    "category_id",
    "segments_info",
    "bbox",
    "iscrowd",
    "width",
    "height",
    "caption",
    "file_name",
    "coco_url",
    "name",
    "synset",
    "license",
    "licenses",
    "flickr_url",
    "url",
)
_NO_FILE = (
    "id and file_name (or LVIS's coco_url) are needed, the name a relative "
    "path with / between"
)


# Adds what annotations say to the classes of each image, by its id.
Join = Callable[
    [str, dict[str, list], dict[str, dict[str, None]]], Iterator[Rejection]
]


def find(path: str, context: Context) -> Found:
    """Finds a file, which is one part: JSON cannot be cut.

    Raises:
        InputError: no such file, or one that is no whole JSON object.
    """
    lists = "images, annotations and categories"
    if not context.images_beside:
        return find_object("coco", path, lists, context)
    own = _images_beside(path)
    options = (*context.options, *(("images", folder) for folder in own))
    context = replace(context, options=options)
    return replace(find_object("coco", path, lists, context), image_folders=own)


def _images_beside(path: str) -> tuple[str, ...]:
    """Returns the folders beside a file where Roboflow and others put images.

    Raises:
        InputError: there is none.
    """
    folder = os.path.dirname(path)
    names = [] if storage.is_remote(path) else os.listdir(folder or ".")
    found = [folder] if any(map(is_image_name, names)) else []
    found += [storage.join(folder, "images")] if "images" in names else []
    if not found:
        raise InputError(f"--coco needs {IMAGES.needed}")
    return tuple(found)


def find_object(reader: str, path: str, lists: str, context: Context) -> Found:
    """Finds a file with a JSON object.

    Args:
        reader: its name.
        path: of the file.
        lists: in the object, for the refusal.
        context: of the reader.

    Raises:
        InputError: it does not start and end as one, or there is none.
    """
    file = check_json(path, "{}", f"a JSON object with {lists} is needed")
    return Found(group_files(reader, [file], context.file_options(file[0])))


def read(part: Part) -> Read:
    """Yields the images with the classes of their objects, each class once.

    Crowds count; an image without objects has no classes. What is malformed
    becomes Rejections: an image, an annotation, or the whole file.
    """
    yield from read_images(part, _join_objects, ("categories",), Source.COCO)


def read_images(
    part: Part,
    join: Join,
    lists: Sequence[str],
    source: Source,
    confidence: float = 1.0,
) -> Read:
    """Yields the images of a file with what `join` finds of each.

    Args:
        part: the file.
        join: reads the annotations.
        lists: that are needed beside images and annotations.
        source, confidence: of each class found.
    """
    paths = part.values("images")
    folders = ImageFolders(paths) if paths else None
    try:
        content, licenses = _load(part.path, lists)
    except (ValueError, RecursionError) as error:
        detail = f"not a COCO file: {error}"
        yield Rejection(Reason.UNREADABLE_SOURCE, part.path, detail, part.path)
        return
    images = content["images"]
    classes: dict[str, dict[str, None]] = {
        id_of(image["id"]): {} for image in images if has(image, "id")
    }
    yield from join(part.path, content, classes)
    boxes: dict[str, list[Box]] = {}
    wrong: dict[str, str] = {}
    if part.boxes:
        yield from coco_boxes.join_boxes(part.path, content, boxes, wrong)
    for item in _placed(part.path, images, folders):
        if isinstance(item, Rejection):
            yield item
            continue
        image, image_id, ref = item
        number = id_of(image["id"])
        found = tuple(classes[number])
        sure = (confidence,) * len(found)
        yield AnnotatedImage(
            image_id,
            source,
            found,
            sure,
            ref,
            origin=_origin(image, licenses),
            regions=coco_boxes.regions_of(
                image, boxes.get(number), wrong.get(number)
            ),
        )


def _placed(
    path: str, images: Sequence[Any], folders: ImageFolders | None
) -> Iterator[tuple[dict[str, Any], str, ImageRef | None] | Rejection]:
    """Yields each image of a file with its image id and where it lies."""
    shared = _shared_ids(images)
    for index, image in enumerate(images):
        try:
            name = _path_of(image, folders)
            image_id, number = f"coco/{path_id(name)}", id_of(image["id"])
            if number in shared:
                detail = f"id {number} is that of {shared[number]}: which the"
                detail += " annotations mean is unknown"
                yield Rejection(Reason.DUPLICATE_ID, image_id, detail, path)
            else:
                yield image, image_id, folders.find(name) if folders else None
        except (ValueError, OSError) as error:
            yield malformed(path, f"images[{index}]", error)


def _path_of(image: Any, folders: ImageFolders | None) -> str:
    """Returns the path of an image in its folder.

    Raises:
        ValueError: no id or path, or several images that it may name.
    """
    if not has(image, "id", "file_name"):
        raise ValueError(_NO_FILE)
    name = str(image["file_name"])
    if folders:
        name = folders.match(name)
    elif not is_inside(name):
        name = plain_path(name)
    if not is_inside(name):
        raise ValueError(_NO_FILE)
    return name


def _shared_ids(images: Sequence[Any]) -> dict[str, str]:
    """Returns ids that several files have, with the names of the files."""
    names: dict[str, set[str]] = {}
    for image in images:
        if has(image, "id", "file_name"):
            name = path_id(str(image["file_name"]))
            names.setdefault(id_of(image["id"]), set()).add(name)
    return {
        number: ", ".join(sorted(found))[:200]
        for number, found in names.items()
        if len(found) > 1
    }


def _origin(image: Any, licenses: dict[str, str]) -> Origin | None:
    number = image.get("license")
    text = licenses.get(id_of(number), number)
    url = image.get("flickr_url") or image.get("url")
    return make_origin(text, source_url=url)


def _load(
    path: str, further: Sequence[str]
) -> tuple[dict[str, list], dict[str, str]]:
    """Returns the lists of a file by name, and licences by their id.

    Raises:
        ValueError: not such a file.
    """
    with storage.open_read(path) as file:
        content = json.load(file, object_hook=_keep)
    names = ("images", "annotations", *further)
    content = content if isinstance(content, dict) else {}
    found: dict[str, Any] = {name: content.get(name) for name in names}
    if not all(isinstance(entries, list) for entries in found.values()):
        raise ValueError(
            f"the lists {', '.join(names)} are needed; captions have no "
            "categories, and are read with --captions"
        )
    licenses = content.get("licenses")
    named = {
        id_of(entry["id"]): str(entry.get("url") or entry.get("name") or "")
        for entry in (licenses if isinstance(licenses, list) else ())
        if has(entry, "id")
    }
    return found, named


def _keep(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {name: entry[name] for name in _KEPT if name in entry}
    url = kept.pop("coco_url", None)
    if isinstance(url, str):
        kept.setdefault("url", url)
    if "file_name" not in kept and isinstance(url, str):
        # LVIS has no other name: train2017/000000000025.jpg.
        kept["file_name"] = "/".join(url.split("/")[-2:])
    return kept


def _join_objects(
    path: str, content: dict[str, list], classes: dict[str, dict[str, None]]
) -> Iterator[Rejection]:
    """Adds the class of every object, or of every segment, to its image."""
    keys = keys_of(content["categories"])
    for index, entry in enumerate(content["annotations"]):
        item = f"annotations[{index}]"
        segments = isinstance(entry, dict) and entry.get("segments_info")
        if has(entry, "image_id") and id_of(entry["image_id"]) not in classes:
            yield in_no_image(path, item, entry)
            continue
        if not isinstance(segments, list):
            yield from _add(path, item, entry, entry, classes, keys)
            continue
        for number, segment in enumerate(segments):
            item_of = f"{item}.segments_info[{number}]"
            yield from _add(path, item_of, entry, segment, classes, keys)


def in_no_image(path: str, item: str, entry: dict[str, Any]) -> Rejection:
    """Returns the dead letter of an annotation whose image is not there."""
    detail = f"image_id {entry['image_id']!r} is in no image"
    return malformed(path, item, detail)


def _add(
    path: str,
    item: str,
    entry: Any,
    thing: Any,
    classes: dict[str, dict[str, None]],
    keys: dict[str, str],
) -> Iterator[Rejection]:
    """Adds the class of an object or segment to the image of its entry."""
    if not (has(entry, "image_id") and has(thing, "category_id")):
        detail = "no image_id or category_id"
        if isinstance(entry, dict) and "caption" in entry:
            detail += ", but a caption: read it with --captions"
        yield malformed(path, item, detail)
    elif id_of(thing["category_id"]) not in keys:
        detail = f"category_id {thing['category_id']!r} is no category"
        yield malformed(path, item, detail)
    else:
        key = keys[id_of(thing["category_id"])]
        try:
            check_length(key.removeprefix("coco:"))
        except ValueError as error:
            yield malformed(path, item, error)
        else:
            classes[id_of(entry["image_id"])][key] = None


READER = Reader(
    SourceOption(
        "coco",
        "COCO source",
        "COCO JSON file of instances or panoptic segments.",
        check_file,
    ),
    find,
    read,
    # Polygons are most of a file.
    bytes_an_image=3800,
    takes=(IMAGES,),
    keys_hold_names=True,
    own_images=True,
    boxes=True,
)
