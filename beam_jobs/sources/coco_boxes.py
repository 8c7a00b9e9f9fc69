"""Boxes of COCO's objects and segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from beam_jobs.images.regions import CROWD, Box, Regions, make_box
from beam_jobs.rejections import Rejection
from beam_jobs.sources.coco_entries import has, id_of, keys_of
from beam_jobs.sources.reader import malformed


def join_boxes(
    path: str,
    content: dict[str, list],
    boxes: dict[str, list[Box]],
    wrong: dict[str, str],
) -> Iterator[Rejection]:
    """Adds the box of every object, or of every segment, by image id.

    And what is wrong with one that has none, the first of each image.

    What is wrong with an entry besides is said by `_join_objects` of `coco`.
    """
    keys = keys_of(content["categories"])
    images = {id_of(i["id"]): i for i in content["images"] if has(i, "id")}
    for index, entry in enumerate(content["annotations"]):
        if not has(entry, "image_id"):
            continue
        image_id = id_of(entry["image_id"])
        segments = entry.get("segments_info")
        for thing in segments if isinstance(segments, list) else [entry]:
            key = has(thing, "category_id") and keys.get(
                id_of(thing["category_id"])
            )
            if image_id not in images:
                continue
            item = f"annotations[{index}]"
            if not key:
                wrong.setdefault(image_id, f"{item} is of no category")
                continue
            try:
                box = _box(key, thing, images[image_id])
            except ValueError as error:
                wrong.setdefault(image_id, f"{item}: {error}")
                yield malformed(path, item, error)
            else:
                boxes.setdefault(image_id, []).append(box)


def _box(key: str, thing: dict[str, Any], image: dict[str, Any]) -> Box:
    """Returns the box of an object.

    Raises:
        ValueError: none, or the image has no size.
    """
    if not has(image, "width", "height"):
        raise ValueError("its image has no width and height")
    try:
        left, top, width, height = map(float, thing["bbox"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("no bbox of four numbers") from None
    return make_box(
        key,
        (top, left, top + height, left + width),
        (float(image["height"]), float(image["width"])),
        CROWD if thing.get("iscrowd") else 0,
    )


def regions_of(
    image: dict[str, Any], boxes: Sequence[Box] | None, wrong: str | None
) -> Regions | None:
    if not boxes:
        return Regions(wrong=wrong) if wrong else None
    size = f"{id_of(image['width'])}x{id_of(image['height'])}"
    return Regions(size, tuple(boxes), wrong=wrong or "")
