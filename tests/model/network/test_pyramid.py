"""Tests of model.network.pyramid."""

import dataclasses

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import NetworkConfig
from model.configs import demo, tiny_imagenet
from model.network.pyramid import map_layers, pyramid
from model.network.resnet import build_backbone

SMALL = NetworkConfig(
    block="basic",
    blocks=(1, 1, 1),
    filters=(8, 16, 24),
    strides=(2, 1, 2),
    stem_filters=8,
    stem_kernel=3,
)


@pytest.mark.parametrize(
    "config, levels",
    [
        (NetworkConfig(), [2, 3, 4, 5]),
        (demo.get_config().network, [2, 3, 4, 5]),
        (tiny_imagenet.get_config().network, [2, 3, 4]),
    ],
)
def test_levels_are_those_of_the_true_strides(config, levels):
    layers = map_layers(config)
    assert list(layers) == levels
    assert layers[2] == "stage2_block1_1_relu"
    assert layers[levels[-1]] == "final_relu"


def test_of_stages_of_one_stride_the_later_counts():
    assert map_layers(SMALL) == {2: "stage3_block1_1_relu", 3: "final_relu"}


def test_it_is_the_backbone_itself():
    backbone = build_backbone(SMALL, 41)
    maps = pyramid(backbone, SMALL)
    own = {id(w) for w in backbone.weights}
    assert own == {id(w) for w in maps.weights}
    images = np.random.default_rng(0).random((2, 41, 41, 3), np.float32)
    found = maps(images)
    # 41 is cut by 4 and by 8, rounded up.
    assert found[2].shape == (2, 11, 11, 16)
    assert found[3].shape == (2, 6, 6, 24)
    assert min(found[level].numpy().min() for level in found) == 0.0
    pooled = found[3].numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(pooled, backbone(images), rtol=1e-5)


def test_what_gives_no_pyramid_is_refused():
    for change, message in [
        ({"backbone": "ResNet50V2"}, "backbone 'resnet_v2'.*'ResNet50V2'"),
        ({"stem_stride": 3}, r"powers of 2.*3 and \(2, 1, 2\)"),
    ]:
        with pytest.raises(InputError, match=message):
            map_layers(dataclasses.replace(SMALL, **change))
