"""The backbone's maps of several sizes, for heads that see where things are.

Lin et al., "Feature Pyramid Networks", https://arxiv.org/abs/1612.03144.
"""

from __future__ import annotations

import keras

from beam_jobs.errors import InputError
from model.backbone_names import RESNET_V2
from model.config import NetworkConfig


def pyramid(backbone: keras.Model, config: NetworkConfig) -> keras.Model:
    """Returns a network over the backbone's own layers, sharing all weights.

    Input as the backbone's; output a dictionary of its levels, finest first:
    level to features float [batch, size / 2^level rounded up, likewise,
    filters], normalized and not negative.

    Args:
        backbone: of `build_backbone`.
        config: that it was built from.

    Raises:
        InputError: see `map_layers`.

    Example:
        >>> from model.network.resnet import build_backbone
        >>> config = NetworkConfig(block="basic", blocks=(1, 1),
        ...     filters=(8, 16), strides=(2, 2), stem_filters=8)
        >>> maps = pyramid(build_backbone(config, 40), config).output
        >>> maps[2].shape, maps[3].shape
        ((None, 10, 10, 8), (None, 5, 5, 16))
    """
    layers = map_layers(config).items()
    maps = {level: backbone.get_layer(name).output for level, name in layers}
    return keras.Model(backbone.input, maps, name="pyramid")


def map_layers(config: NetworkConfig) -> dict[int, str]:
    """Returns the layer that gives each level's map, finest first.

    A level is log2 of the stride from the image to the map. Stages end in
    raw sums, so a stage's map is taken behind the next one's first
    normalization; of stages of one stride, the last's.

    Raises:
        InputError: a backbone of keras.applications, or a stride that is no
            power of 2.
    """
    if config.backbone != RESNET_V2:
        raise InputError(
            "detection and segmentation need network.backbone "
            f"{RESNET_V2!r}; received: {config.backbone!r}"
        )
    layers, stride = {}, config.stem_stride
    for stage, step in enumerate(config.strides, start=1):
        stride *= step
        level = stride.bit_length() - 1
        if stride != 1 << level:
            raise InputError(
                "detection and segmentation need network.stem_stride and "
                ".strides whose products are powers of 2; received: "
                f"{config.stem_stride} and {config.strides}"
            )
        layers[level] = f"stage{stage + 1}_block1_1_relu"
    layers[level] = "final_relu"
    return layers
