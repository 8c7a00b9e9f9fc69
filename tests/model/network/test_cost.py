"""Tests of model.network.cost."""

import dataclasses
import math

import keras
import pytest

from model.network.cost import image_cost
from model.network.tagger import Tagger


def multiplications(tagger):
    """Returns those of the convolutions and of the head, for an image."""
    found = math.prod(tagger.head.kernel.shape)
    for layer in tagger.backbone.layers:
        if isinstance(layer, keras.layers.Conv2D):
            places = math.prod(layer.output.shape[1:3])
            found += math.prod(layer.kernel.shape) * places
    return found


def test_an_image_costs_its_multiplications_and_what_is_kept(tiny_config):
    config = tiny_config()
    tagger = Tagger(config, 5)
    before = [v.numpy().tobytes() for v in tagger.weights]
    cost = image_cost(tagger)
    forward = 2 * multiplications(tagger)
    # With 8 filters the rest, a few for each value, is seen beside them.
    assert forward <= cost.forward_flops < 1.2 * forward
    # The backward pass has two for each.
    assert 3 * forward < cost.flops < 4 * forward
    # It is traced alone: no average has moved.
    assert [v.numpy().tobytes() for v in tagger.weights] == before

    # Four times the pixels, and not so many of padding and features.
    data = dataclasses.replace(config.data, image_size=32)
    large = image_cost(Tagger(dataclasses.replace(config, data=data), 5))
    ratio = large.activation_bytes / cost.activation_bytes
    assert ratio == pytest.approx(4.0, rel=0.1)
