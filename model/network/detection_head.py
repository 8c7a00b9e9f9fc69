"""The detector's head: from the backbone's maps to classes and boxes.

As FCOS (https://arxiv.org/abs/1904.01355), but smaller: maps of one width,
each with what the coarser ones saw; two convolutions a branch with group
normalization, shared by all maps; predictions by 1x1 convolutions, whose cost
stays small with many classes. What is predicted is float32 whatever the
network's precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
from keras import layers, ops

_CONVOLUTIONS = 2
# Channels that are normalized together.
_GROUP = 8
# Of each class in an untrained network, lest the many points of background
# be all of the first losses (https://arxiv.org/abs/1708.02002, section 4.1).
_PRIOR = 0.01
# exp of it is more strides than any image has.
_LARGEST_EXPONENT = 8.0


def build_head(
    maps: dict[int, keras.KerasTensor],
    more: int,
    *,
    classes: int,
    filters: int,
    precision: str,
) -> keras.Model:
    """Returns the network from a list of maps to a dictionary of float32.

    `classes`, logits [batch, points, classes]; `distances` from a point to
    the top, left, bottom and right, in strides [batch, points, 4];
    `quality`, logits [batch, points]. Points go map by map, row by row.

    Args:
        maps: by level, finest first.
        more: maps to be added, each of half the size of the one before.
        filters: channels of all maps of the head.
        precision: Keras dtype policy of what is not predicted.
    """
    inputs = [keras.Input(m.shape[1:], dtype=m.dtype) for m in maps.values()]
    found = _merged(inputs, list(maps), filters, precision)
    for level in range(max(maps) + 1, max(maps) + 1 + more):
        # As the backbone's: a padding that does not depend on the size.
        x = layers.ZeroPadding2D(1, dtype=precision, name=f"pad{level}")(
            found[-1]
        )
        found.append(
            layers.Conv2D(
                filters, 3, strides=2, dtype=precision, name=f"more{level}"
            )(x)
        )
    of_class = _on_all(_branch("class", filters, precision), found)
    of_box = _on_all(_branch("box", filters, precision), found)
    prior = math.log(_PRIOR / (1.0 - _PRIOR))
    distances = _on_all([_prediction("distances", 4)], of_box)
    outputs = {
        "classes": _on_all([_prediction("classes", classes, prior)], of_class),
        "distances": [
            Distances(name=f"distances_scale{place}", dtype="float32")(x)
            for place, x in enumerate(distances)
        ],
        "quality": _on_all([_prediction("quality", 1)], of_box),
    }
    rows = {name: _rows(parts) for name, parts in outputs.items()}
    rows["quality"] = layers.Reshape((-1,), dtype="float32")(rows["quality"])
    return keras.Model(inputs, rows, name="head")


@keras.saving.register_keras_serializable(package="tagforest")
class Distances(layers.Layer):
    """exp(gamma x), gamma learned: one convolution serves maps of all sizes.

    Input and output float32, of one shape.
    """

    def build(self, input_shape):
        # Named as normalization's: weight decay leaves those alone.
        self.gamma = self.add_weight(name="gamma", shape=(), initializer="ones")

    def call(self, inputs):
        return ops.exp(ops.minimum(self.gamma * inputs, _LARGEST_EXPONENT))


def _merged(maps: Sequence, levels: list[int], filters: int, precision: str):
    """Returns maps of `filters` channels, each with what coarser ones saw."""
    found: list = []
    before = levels[-1]
    for level, x in zip(reversed(levels), reversed(maps), strict=True):
        x = layers.Conv2D(filters, 1, dtype=precision, name=f"lateral{level}")(
            x
        )
        if found:
            up = layers.UpSampling2D(
                2 ** (before - level), dtype=precision, name=f"up{level}"
            )(found[-1])
            # Sizes are rounded up: 13 of 25 become 26.
            over = [
                (0, a - b)
                for a, b in zip(up.shape[1:3], x.shape[1:3], strict=True)
            ]
            up = layers.Cropping2D(over, dtype=precision, name=f"cut{level}")(
                up
            )
            x = layers.Add(dtype=precision, name=f"merge{level}")([x, up])
        found.append(x)
        before = level
    return [
        layers.Conv2D(
            filters, 3, padding="same", dtype=precision, name=f"smooth{level}"
        )(x)
        for level, x in zip(levels, reversed(found), strict=True)
    ]


def _branch(name: str, filters: int, precision: str) -> list[layers.Layer]:
    found: list[layers.Layer] = []
    for place in range(1, _CONVOLUTIONS + 1):
        found += [
            layers.Conv2D(
                filters,
                3,
                padding="same",
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
                dtype=precision,
                name=f"{name}_{place}_conv",
            ),
            # Not of the batch, which is small where images are large.
            layers.GroupNormalization(
                filters // _GROUP, dtype="float32", name=f"{name}_{place}_norm"
            ),
            layers.ReLU(dtype=precision, name=f"{name}_{place}_relu"),
        ]
    return found


def _prediction(name: str, channels: int, bias: float = 0.0) -> layers.Conv2D:
    return layers.Conv2D(
        channels,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(bias),
        dtype="float32",
        name=name,
    )


def _on_all(chain: Sequence[layers.Layer], maps: Sequence) -> list:
    """Returns what a chain of layers makes of each map."""
    for layer in chain:
        maps = [layer(x) for x in maps]
    return list(maps)


def _rows(maps: Sequence):
    """Returns the points of all maps, [batch, points, channels]."""
    rows = [layers.Reshape((-1, x.shape[-1]), dtype="float32")(x) for x in maps]
    return layers.Concatenate(axis=1, dtype="float32")(rows)
