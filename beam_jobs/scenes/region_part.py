"""Writes scenes to detect, segment and classify: boxes, masks and folders.

images/         scenes of 1 to 4 objects
instances.json  their boxes, as COCO
masks/          a PNG each, each pixel the id of its class
classes.csv     the ids' names
folders/        images of one object, a folder a class
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from beam_jobs.scenes.catalogue import SceneClass, load_catalogue
from beam_jobs.scenes.composition import Scene, compose_scene
from beam_jobs.scenes.drawing import encode_jpeg

_STREAM, _FOLDERS_STREAM = 5, 6
# Few, so that a training of minutes tells them apart.
CLASSES = 12
_MOST_OBJECTS = 4


@dataclass(frozen=True)
class RegionScene:
    """One scene.

    Attributes:
        jpeg: the image file.
        objects: class index and box of each: left, top, width, height, pixels.
        mask: uint8 [side, side]: 0, or class index + 1.
    """

    jpeg: bytes
    objects: tuple[tuple[int, tuple[float, float, float, float]], ...]
    mask: np.ndarray


def region_classes() -> tuple[SceneClass, ...]:
    """Returns the classes, in the order of their index."""
    return load_catalogue()[:CLASSES]


def draw_region_scene(side: int, seed: int, index: int) -> RegionScene:
    """Draws the numbered scene, `side` x `side` pixels."""
    rng = np.random.default_rng([seed, _STREAM, index])
    count = 1 + int(rng.integers(_MOST_OBJECTS))
    # Each class as often as any other.
    chosen = [index % CLASSES, *rng.integers(CLASSES, size=count - 1).tolist()]
    classes = region_classes()
    scene = compose_scene([classes[i] for i in chosen], rng, side)
    return _region_scene(scene, chosen, side)


def _region_scene(scene: Scene, chosen: list[int], side: int) -> RegionScene:
    objects = tuple(
        (
            index,
            (
                box.x_min * side,
                box.y_min * side,
                (box.x_max - box.x_min) * side,
                (box.y_max - box.y_min) * side,
            ),
        )
        for index, box in zip(chosen, scene.boxes, strict=True)
    )
    ids = np.array([0, *(i + 1 for i in chosen)], np.uint8)
    return RegionScene(
        encode_jpeg(scene.image), objects, ids[np.asarray(scene.owners)]
    )


def write_regions(folder: Path, scenes: Iterable[RegionScene]) -> None:
    """Writes scenes with their boxes and masks into an empty folder."""
    for name in ("images", "masks"):
        (folder / name).mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes):
        (folder / "images" / f"{number:05d}.jpg").write_bytes(scene.jpeg)
        mask = folder / "masks" / f"{number:05d}.png"
        Image.fromarray(scene.mask).save(mask)
        height, width = scene.mask.shape
        images.append(
            {
                "id": number,
                "file_name": f"{number:05d}.jpg",
                "height": height,
                "width": width,
            }
        )
        for index, box in scene.objects:
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": index + 1,
                    "bbox": [round(v, 2) for v in box],
                    "iscrowd": 0,
                }
            )
    named = list(enumerate((c.name for c in region_classes()), 1))
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in named],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    rows = "".join(f"{i},{name}\n" for i, name in named)
    (folder / "classes.csv").write_text(f"id,name\n{rows}")


def write_folders(folder: Path, count: int, side: int, seed: int) -> None:
    """Writes so many images of one object each, for every class."""
    for index, scene_class in enumerate(region_classes()):
        place = folder / scene_class.name
        place.mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng([seed, _FOLDERS_STREAM, index, number])
            scene = compose_scene([scene_class], rng, side)
            (place / f"{number:04d}.jpg").write_bytes(encode_jpeg(scene.image))
