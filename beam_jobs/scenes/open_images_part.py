"""Writes the Open Images-style part: image files and annotation CSVs.

The CSVs have the columns of Open Images V6,
https://storage.googleapis.com/openimages/web/download_v7.html
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.scenes.catalogue import SceneClass, load_catalogue
from beam_jobs.scenes.composition import (
    choose_absent,
    choose_companions,
    choose_main_class,
    compose_scene,
)
from beam_jobs.scenes.drawing import Box, encode_jpeg

_STREAM = 1
_ORDER_STREAM = 2

CLASSES_CSV = "class-descriptions.csv"
OVERRIDES_CSV = "wordnet-overrides.csv"
IMAGES_CSV = "train-images-with-labels-with-rotation.csv"
LABELS_CSV = "train-annotations-human-imagelabels.csv"
BOXES_CSV = "train-annotations-bbox.csv"

_IMAGES_HEADER = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,"
    "Author,Title,OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation"
).split(",")
_LABELS_HEADER = ("ImageID", "Source", "LabelName", "Confidence")
_BOXES_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
).split(",")

# What is done to the broken images, in turn.
BREAKAGES = ("truncated", "not_an_image", "duplicate")


@dataclass(frozen=True)
class AnnotatedScene:
    """One scene as Open Images describes it.

    Attributes:
        image_id: 16 hexadecimal digits.
        jpeg: the image file.
        present: the class of each object; repeats are possible.
        boxes: one box an object.
        absent: classes verified not to be in the scene.
    """

    image_id: str
    jpeg: bytes
    present: tuple[SceneClass, ...]
    boxes: tuple[Box, ...]
    absent: tuple[SceneClass, ...]


def draw_annotated(side: int, seed: int, index: int) -> AnnotatedScene:
    """Draws the numbered scene, `side` x `side` pixels."""
    rng = np.random.default_rng([seed, _STREAM, index])
    main = choose_main_class([seed, _ORDER_STREAM], index)
    scene = compose_scene(choose_companions(main, rng), rng, side)
    return AnnotatedScene(
        image_id=image_id_of(index, seed),
        jpeg=encode_jpeg(scene.image),
        present=scene.classes,
        boxes=scene.boxes,
        absent=tuple(choose_absent(scene.classes, rng)),
    )


def image_id_of(index: int, seed: int) -> str:
    """Returns the image id of a numbered scene."""
    name = f"tagforest scene {seed} {index}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def breakages(open_images: int, broken: int) -> list[str]:
    """Returns what is done to each broken entry; there is none alone."""
    if not open_images:
        return []
    return [BREAKAGES[i % len(BREAKAGES)] for i in range(broken)]


def write_open_images(
    folder: Path, scenes: Iterable[AnnotatedScene], kinds: Sequence[str]
) -> None:
    """Writes the images, their annotations and the class lists.

    Args:
        folder: exists and is empty.
        scenes: the last ones, one a kind, are the broken entries. Of these a
            "duplicate" is not written itself: an earlier scene is, twice.
        kinds: from `BREAKAGES`.
    """
    (folder / "images").mkdir()
    drawn = list(scenes)
    sound = drawn[: len(drawn) - len(kinds)]
    listed = list(sound)
    for scene in sound:
        _write_image(folder, scene.image_id, scene.jpeg)
    for number, (kind, scene) in enumerate(
        zip(kinds, drawn[len(sound) :], strict=True)
    ):
        if kind == "duplicate":
            scene = sound[number % len(sound)]
            copy = f"copy-{number}/{scene.image_id}"
            _write_image(folder, copy, scene.jpeg)
        else:
            _write_image(folder, scene.image_id, _break(scene.jpeg, kind))
        listed.append(scene)
    _write_csvs(folder, listed)


def _write_image(folder: Path, name: str, data: bytes) -> None:
    path = folder / "images" / f"{name}.jpg"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _break(jpeg: bytes, kind: str) -> bytes:
    if kind == "truncated":
        return jpeg[: len(jpeg) * 3 // 4]
    return b"This is a text file, whatever its name says.\n"


def _write_csvs(folder: Path, listed: Sequence[AnnotatedScene]) -> None:
    # The list of images repeats a duplicate id; the annotations do not.
    scenes = list({scene.image_id: scene for scene in listed}.values())
    classes = load_catalogue()
    names = sorted((c.label_name, c.name) for c in classes)
    _write_csv(folder / CLASSES_CSV, ("LabelName", "DisplayName"), names)
    wnids = sorted((c.label_name, c.wnid) for c in classes)
    _write_csv(folder / OVERRIDES_CSV, ("LabelName", "WordNetId"), wnids)
    image_rows = [_image_row(s) for s in listed]
    _write_csv(folder / IMAGES_CSV, _IMAGES_HEADER, image_rows)
    label_rows = [row for s in scenes for row in _label_rows(s)]
    _write_csv(folder / LABELS_CSV, _LABELS_HEADER, label_rows)
    box_rows = [row for s in scenes for row in _box_rows(s)]
    _write_csv(folder / BOXES_CSV, _BOXES_HEADER, box_rows)


def _write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _image_row(scene: AnnotatedScene) -> list[Any]:
    values = {
        "ImageID": scene.image_id,
        "Subset": "train",
        "OriginalLandingURL": "https://openmoji.org",
        "License": "https://creativecommons.org/licenses/by-sa/4.0/",
        "Author": "OpenMoji",
        "Title": ", ".join(dict.fromkeys(c.name for c in scene.present)),
        "OriginalSize": len(scene.jpeg),
        "Rotation": 0.0,
    }
    return [values.get(column, "") for column in _IMAGES_HEADER]


def _label_rows(scene: AnnotatedScene) -> list[Sequence[Any]]:
    labels = [(c, 1) for c in dict.fromkeys(scene.present)]
    labels += [(c, 0) for c in scene.absent]
    return [
        (scene.image_id, "verification", c.label_name, confidence)
        for c, confidence in labels
    ]


def _box_rows(scene: AnnotatedScene) -> list[Sequence[Any]]:
    rows: list[Sequence[Any]] = []
    for number, (scene_class, box) in enumerate(
        zip(scene.present, scene.boxes, strict=True)
    ):
        occluded = any(_overlap(box, b) for b in scene.boxes[number + 1 :])
        edges = (box.x_min, box.x_max, box.y_min, box.y_max)
        corners = [f"{edge:.6f}" for edge in edges]
        flags = (int(occluded), 0, 0, 1, 0)
        key = (scene.image_id, "xclick", scene_class.label_name, 1)
        rows.append((*key, *corners, *flags))
    return rows


def _overlap(a: Box, b: Box) -> bool:
    return min(a.x_max, b.x_max) > max(a.x_min, b.x_min) and min(
        a.y_max, b.y_max
    ) > max(a.y_min, b.y_min)
