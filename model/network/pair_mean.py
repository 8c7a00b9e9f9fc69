"""The mean of two neighbours in each direction, at any distance."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tagforest")
class PairMean(keras.layers.Layer):
    """An average pooling of 2x2 without a stride, dilated.

    At every `distance * n`-th position it has what a pooling of 2x2 with
    stride 2 has of every `distance`-th pixel, the borders of odd sizes
    included: what has no neighbour counts alone.

    Args:
        distance: of the two, pixels.
    """

    def __init__(self, distance: int = 1, **options):
        super().__init__(**options)
        self.distance = distance

    def call(self, x):
        """Returns float [batch, height, width, channels], as `x`."""
        d = self.distance
        below = ops.concatenate([x[:, d:], x[:, -d:]], axis=1)
        x = (x + below) / 2
        right = ops.concatenate([x[:, :, d:], x[:, :, -d:]], axis=2)
        return (x + right) / 2

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "distance": self.distance}
