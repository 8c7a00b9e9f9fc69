"""Tests of model.network.kerashub: which backbones are taken."""

import json

import keras
import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import NetworkConfig
from model.network.kerashub import LAYER, build_kerashub
from model.network.pyramid import map_layers
from tests.helpers.presets import vgg

keras_hub = pytest.importorskip(
    "keras_hub", reason="keras-hub is not installed"
)
models = keras_hub.models
SIDE = 64


def network_of(backbone, converter=None, **changes):
    """Returns the config of a backbone."""
    preset = {
        "backbone": f"keras_hub>{type(backbone).__name__}",
        "config": json.loads(json.dumps(backbone.get_config())),
        "converter": converter,
    }
    for name in ("name", "trainable", "dtype"):
        preset["config"].pop(name, None)
    return NetworkConfig(
        backbone="keras_hub", preset=json.dumps(preset), **changes
    )


def mit():
    return models.MiTBackbone(
        layerwise_depths=[1, 1],
        num_layers=2,
        hidden_dims=[8, 16],
        layerwise_num_heads=[1, 1],
        layerwise_sr_ratios=[1, 1],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
        max_drop_path_rate=0.1,
        image_shape=(SIDE, SIDE, 3),
    )


def csp():
    return models.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=2,
        stackwise_depth=[1, 1],
        stackwise_strides=[1, 2],
        stackwise_num_filters=[8, 16],
        stage_type="dark",
        block_type="dark_block",
    )


@pytest.mark.parametrize(("make", "filters"), [(mit, 16), (csp, 16), (vgg, 8)])
def test_the_last_map_is_averaged(make, filters):
    theirs = make()
    ours = build_kerashub(network_of(theirs), SIDE)
    assert ours.output_shape == (None, filters)
    ours.get_layer(LAYER).set_weights(theirs.get_weights())
    rng = np.random.default_rng(1)
    images = rng.uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    maps = theirs(images, training=False)
    maps = maps["P3"] if isinstance(maps, dict) else maps
    expected = keras.ops.mean(maps, (1, 2))
    np.testing.assert_allclose(ours(images), expected, rtol=0, atol=1e-6)


def test_pixels_are_those_of_older_presets_too():
    # Normalized by mean and variance of parts of 255.
    converter = {
        "scale": 1 / 255,
        "mean": [0.5, 0.25, 0.0],
        "variance": [0.25, 1.0, 4.0],
    }
    ours = build_kerashub(network_of(vgg(), converter), 8)
    inner = [la for la in ours.layers if isinstance(la, keras.layers.Rescaling)]
    pixels = np.full((1, 8, 8, 3), 1.0, np.float32)
    for layer in inner:
        pixels = layer(pixels)
    # White: (1 - mean) / deviation.
    np.testing.assert_allclose(pixels[0, 0, 0], [1, 0.75, 0.5], atol=1e-6)


def test_mixed_precision_reaches_layers_without_a_policy_of_their_own():
    network = network_of(vgg(), precision="mixed_bfloat16")
    ours = build_kerashub(network, SIDE)
    inner = ours.get_layer(LAYER).layers[-1]
    assert inner.compute_dtype == "bfloat16"
    assert ours.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_what_gives_no_map_or_takes_other_sizes_is_refused():
    vit = models.ViTBackbone(
        image_shape=(SIDE, SIDE, 3),
        patch_size=32,
        num_layers=1,
        num_heads=1,
        hidden_dim=8,
        mlp_dim=8,
    )
    with pytest.raises(InputError, match="ViTBackbone of KerasHub gives no ma"):
        build_kerashub(network_of(vit), SIDE)
    with pytest.raises(InputError, match="MiTBackbone of .* of 96 pixels: "):
        build_kerashub(network_of(mit()), 96)


@pytest.mark.parametrize("name", ["NoBackbone", "ImageConverter"])
def test_what_kerashub_does_not_have_is_refused(name):
    preset = {"backbone": f"keras_hub>{name}", "config": {}, "converter": None}
    network = NetworkConfig(backbone="keras_hub", preset=json.dumps(preset))
    with pytest.raises(InputError, match=f"has no backbone keras_hub>{name}"):
        build_kerashub(network, SIDE)


def test_it_is_refused_without_a_preset_and_for_boxes():
    with pytest.raises(InputError, match="needs network.preset"):
        build_kerashub(NetworkConfig(backbone="keras_hub"), SIDE)
    with pytest.raises(InputError, match="need network.backbone 'resnet_v2'"):
        map_layers(NetworkConfig(backbone="keras_hub"))
