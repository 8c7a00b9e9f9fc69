"""Backbones of KerasHub, for images in [-1, 1] like ours.

KerasHub (https://keras.io/keras_hub) is an extra, and imported where such a
backbone is made: that takes seconds.
"""

from __future__ import annotations

import json
from typing import Any

import keras
from keras import layers

from beam_jobs.errors import InputError
from model.backbone_names import KERAS_HUB, check_kerashub
from model.config import NetworkConfig
from model.network.applications import policy

# The layer that is the whole backbone.
LAYER = "kerashub"


def build_kerashub(config: NetworkConfig, image_size: int) -> keras.Model:
    """Returns the network from images to embeddings, with random weights.

    Input float32 [batch, image_size, image_size, 3] in [-1, 1]; output
    float32 [batch, filters], the average over its last map. The network's
    own layers are those of the layer `LAYER`. It sees images as the preset's
    image converter scales them, without one as they are.

    Args:
        config: its `preset` is what `model.start.preset` reads.

    Raises:
        InputError: KerasHub is not installed or does not know the backbone,
            images of this size are none for it, or it gives no map.
    """
    check_kerashub()
    if not config.preset:
        raise InputError(
            f"network.backbone {KERAS_HUB} needs network.preset, which comes "
            "with --from, a preset's folder"
        )
    preset = json.loads(config.preset)
    kind = _class(preset["backbone"])
    images = keras.Input((image_size, image_size, 3), name="image")
    try:
        with policy(config.precision):
            network = kind.from_config({**preset["config"], "name": LAYER})
            maps = network(_scaled(images, preset["converter"]))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{kind.__name__} of KerasHub cannot be made for images of "
            f"{image_size} pixels: {str(error).splitlines()[0]}"
        ) from error
    if isinstance(maps, dict):
        # P2 to P5, or stage1 to stage4.
        maps = maps[max(maps)]
    if len(maps.shape) != 4:
        raise InputError(
            f"{kind.__name__} of KerasHub gives no map [batch, height, width, "
            f"filters]; its output is {maps.shape}"
        )
    # float32 whatever the network's precision, as ours.
    pool = layers.GlobalAveragePooling2D(name="pool", dtype="float32")
    return keras.Model(images, pool(maps), name="backbone")


def _class(name: str) -> Any:
    import keras_hub

    found = keras.saving.get_registered_object(name)
    kind = keras_hub.models.Backbone
    if not isinstance(found, type) or not issubclass(found, kind):
        raise InputError(
            f"KerasHub {keras_hub.__version__} has no backbone {name}"
        )
    return found


def _scaled(images, converter: dict[str, Any] | None):
    """Returns the pixels as the published weights want them."""
    if converter is None:
        return images
    import keras_hub

    # It knows what older presets call these numbers.
    wanted = keras_hub.layers.ImageConverter(**converter)
    scale = 1.0 if wanted.scale is None else wanted.scale
    offset = 0.0 if wanted.offset is None else wanted.offset
    for numbers in ((127.5, 127.5), (scale, offset)):
        images = layers.Rescaling(*numbers, dtype="float32")(images)
    return images
