"""Presets of KerasHub, folders as its `save_to_preset` writes them.

No TensorFlow and no KerasHub here: a wrong one is refused before they load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from beam_jobs.errors import InputError
from model.backbone_names import KERAS_HUB
from model.config import Config, DataConfig, NetworkConfig
from model.workdir import CONFIG, read_json

WEIGHTS = "model.weights.h5"
_CONVERTER = "image_converter.json"
# What says nothing of the weights: the precision is ours to choose.
_LEFT = ("name", "trainable", "dtype")
# Of an image converter; the latter two in older presets.
_PIXELS = ("scale", "offset", "mean", "variance")
# Side of the images where the preset does not say, pixels.
_SIDE = 224


def read(folder: Path) -> Config | None:
    """Returns network and image size of a preset; None of another folder.

    Raises:
        InputError: a part of it is missing or damaged, or it is not for
            colour images.
    """
    try:
        made = read_json(folder / CONFIG, None)
    except ValueError:
        # Whoever wants it as something else says so.
        return None
    if not isinstance(made, dict) or "registered_name" not in made:
        return None
    name, config = made["registered_name"], made.get("config", {})
    shape = config.get("image_shape")
    if not isinstance(shape, list) or len(shape) != 3 or shape[2] != 3:
        raise InputError(
            f"{folder} has no backbone for colour images, but {name}"
        )
    if not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} has no {WEIGHTS}")
    converter = _converter(folder)
    pixels = {k: v for k, v in (converter or {}).items() if k in _PIXELS}
    preset = {
        "backbone": name,
        "config": {k: v for k, v in config.items() if k not in _LEFT},
        "converter": None if converter is None else pixels,
    }
    wanted = (converter or {}).get("image_size") or [_SIDE]
    text = json.dumps(preset, sort_keys=True)
    return Config(
        name=KERAS_HUB,
        data=DataConfig(image_size=shape[0] or wanted[0]),
        network=NetworkConfig(backbone=KERAS_HUB, preset=text),
    )


def _converter(folder: Path) -> dict[str, Any] | None:
    """Returns what makes the preset's pixels, if it says so."""
    try:
        found = read_json(folder / _CONVERTER, {"config": None})
        return found["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / _CONVERTER} is damaged: {error!r}"
        ) from error
