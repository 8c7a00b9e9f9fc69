"""Presets of KerasHub: small ones, and the JSON of one without KerasHub."""

from __future__ import annotations

import json
from pathlib import Path

import keras

SCALE, OFFSET = [0.01, 0.02, 0.03], [-1.0, -2.0, -3.0]


def resnet(**changes):
    """Returns a backbone with random weights and moving statistics."""
    import keras_hub

    made = keras_hub.models.ResNetBackbone(
        **{
            "input_conv_filters": [64],
            "input_conv_kernel_sizes": [3],
            "stackwise_num_filters": [64, 8],
            "stackwise_num_blocks": [1, 1],
            "stackwise_num_strides": [1, 2],
            "block_type": "bottleneck_block",
            "use_pre_activation": True,
            **changes,
        }
    )
    for variable in made.weights:
        # A new one's moving statistics change nothing.
        if len(variable.shape) == 1:
            draw = keras.random.uniform(variable.shape, 0.5, 2, seed=1)
            variable.assign(draw)
    return made


def vgg():
    """Returns the smallest one, with random weights."""
    import keras_hub

    return keras_hub.models.VGGBackbone(
        stackwise_num_repeats=[1, 1], stackwise_num_filters=[4, 8]
    )


def classifier(backbone, size):
    """Returns one with a head, and with pixels of its own."""
    import keras_hub

    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(size, size), scale=SCALE, offset=OFFSET
    )
    return keras_hub.models.ResNetImageClassifier(
        backbone=backbone,
        num_classes=3,
        preprocessor=keras_hub.models.ResNetImageClassifierPreprocessor(
            converter
        ),
    )


def write_json(folder: Path, **changes) -> Path:
    """Writes a preset's files, without weights in them; returns the folder."""
    config = {"name": "a_1", "dtype": "float32", "image_shape": [None, None, 3]}
    made = {
        "class_name": "ABackbone",
        "registered_name": "keras_hub>ABackbone",
        "config": config | changes,
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(made))
    (folder / "model.weights.h5").write_bytes(b"no weights")
    return folder
