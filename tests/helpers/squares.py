"""Images of coloured squares, with their boxes and masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from model.config import Config, DataConfig, NetworkConfig
from tests.helpers.configs import QUIET
from tests.helpers.images import encode

NAMES = ("blue", "red")
_COLOURS = ((30, 30, 230), (230, 30, 30))
_HEIGHT, _WIDTH = 48, 64


def write_squares(folder: Path, images: int = 24) -> None:
    """Writes `images/`, `instances.json`, `masks/` and `classes.csv`."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    entries, things = [], []
    for number in range(images):
        pixels = rng.integers(90, 160, (_HEIGHT, _WIDTH, 3)).astype(np.uint8)
        mask = np.zeros((_HEIGHT, _WIDTH), np.uint8)
        # One in each half.
        for half in range(1 + number % 2):
            side = int(rng.integers(14, 26))
            top = int(rng.integers(0, _HEIGHT - side))
            left = 32 * half + int(rng.integers(0, 32 - side))
            index = int(rng.integers(2))
            square = slice(top, top + side), slice(left, left + side)
            pixels[square], mask[square] = _COLOURS[index], index + 1
            things.append(
                {
                    "image_id": number,
                    "category_id": index + 1,
                    "bbox": [left, top, side, side],
                }
            )
        name = f"{number:03d}"
        (folder / "images" / f"{name}.jpg").write_bytes(encode(pixels))
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        entries.append(
            {
                "id": number,
                "file_name": f"{name}.jpg",
                "height": _HEIGHT,
                "width": _WIDTH,
            }
        )
    named = list(enumerate(NAMES, 1))
    content = {
        "images": entries,
        "annotations": things,
        "categories": [{"id": i, "name": n} for i, n in named],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    rows = "".join(f"{i},{n}\n" for i, n in named)
    (folder / "classes.csv").write_text(rows)


def squares_config() -> Config:
    """Returns a config whose network sees squares."""
    return Config(
        name="squares",
        data=DataConfig(
            image_size=64, reading="records", colour_probability=0.0
        ),
        network=NetworkConfig(
            block="basic",
            blocks=(1, 1),
            filters=(16, 32),
            strides=(2, 2),
            stem_filters=8,
            stem_kernel=3,
        ),
        logging=QUIET,
    )
