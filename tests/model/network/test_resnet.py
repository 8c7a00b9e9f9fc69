"""Tests of model.network.resnet: the released graph, layer by layer."""

import dataclasses

import keras
import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import RESNET_BLOCKS, NetworkConfig
from model.config_sections import SHORTCUTS
from model.network.resnet import build_backbone

SMALL = NetworkConfig(
    block="basic",
    blocks=(1, 2),
    filters=(8, 16),
    strides=(1, 2),
    stem_filters=8,
    stem_kernel=3,
)


def layers_of(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_resnet50_has_the_textbooks_size():
    config = NetworkConfig(blocks=RESNET_BLOCKS[50])
    model = build_backbone(config, 64)
    # Stem, 16 blocks of three, 4 projections: 53 convolutions.
    assert len(layers_of(model, keras.layers.Conv2D)) == 53
    kernels = 23_454_912
    weights = [w for w in model.trainable_weights if w.name == "kernel"]
    assert sum(int(np.prod(w.shape)) for w in weights) == kernels
    assert model.output_shape == (None, 2048)


def test_depth_table():
    depths = {d: 2 + 3 * sum(blocks) for d, blocks in RESNET_BLOCKS.items()}
    assert depths == {50: 50, 101: 101, 152: 152}


def test_stride_is_in_the_first_block_and_there_is_no_max_pool():
    model = build_backbone(NetworkConfig(blocks=(2, 2, 2, 2)), 64)
    assert not layers_of(model, keras.layers.MaxPooling2D)
    strided = [
        layer.name
        for layer in layers_of(model, keras.layers.Conv2D)
        if layer.strides == (2, 2)
    ]
    assert strided[0] == "stem_conv"
    first = {"stage1_block1_shortcut_conv", "stage1_block1_2_conv"}
    assert set(strided[1:3]) == first
    assert all("block1" in name for name in strided[1:])
    assert model.get_layer("stage4_block2_add").output.shape[1:3] == (2, 2)


def test_a_pooled_shortcut_skips_no_pixel():
    def seen(shortcut):
        config = dataclasses.replace(SMALL, shortcut=shortcut)
        model = build_backbone(config, 32)
        name = "stage2_block1_shortcut"
        inputs = model.get_layer(f"{name}_relu").output
        outputs = model.get_layer(f"{name}_conv").output
        one = keras.Model(inputs, outputs)
        kernel = model.get_layer(f"{name}_conv").kernel.numpy()[0, 0]
        pixels = np.zeros((1, 16, 16, 8), np.float32)
        # Each of its pixels has another value.
        pixels[..., 0] = np.arange(256).reshape(16, 16)
        return one(pixels).numpy()[0, :, :, 0] / kernel[0, 0]

    places = np.arange(256, dtype=np.float32).reshape(16, 16)
    np.testing.assert_allclose(seen("strided"), places[::2, ::2], rtol=1e-4)
    means = places.reshape(8, 2, 8, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(seen("pooled"), means, rtol=1e-4)


def test_squeeze_and_excitation_weighs_the_channels_by_their_means():
    config = dataclasses.replace(SMALL, squeeze=4)
    model = build_backbone(config, 16)
    squeeze, excite = (
        model.get_layer(f"stage1_block1_squeeze_{i}") for i in (1, 2)
    )
    assert squeeze.kernel.shape == (8, 2)
    rng = np.random.default_rng(0)
    for weight in (*squeeze.weights, *excite.weights):
        weight.assign(rng.normal(size=weight.shape))
    names = ("stage1_block1_2_conv", "stage1_block1_excite")
    outputs = [model.get_layer(name).output for name in names]
    images = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    maps, found = keras.Model(model.input, outputs)(images)
    means = np.asarray(maps).mean((1, 2))
    hidden = np.maximum(means @ squeeze.kernel + squeeze.bias, 0)
    weights = 1 / (1 + np.exp(-(hidden @ excite.kernel + excite.bias)))
    wanted = maps * weights[:, None, None, :]
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_longer_strides_have_no_pooled_shortcut():
    with pytest.raises(InputError, match="shortcut must be strided where"):
        NetworkConfig(shortcut="pooled", strides=(1, 2, 4, 1))


def test_projection_shortcut_has_its_own_normalization():
    model = build_backbone(SMALL, 16)
    norms = [v.name for v in layers_of(model, keras.layers.BatchNormalization)]
    assert "stage1_block1_shortcut_bn" in norms
    assert "stage1_block1_1_bn" in norms
    assert "stage2_block2_shortcut_bn" not in norms


def test_no_convolution_has_a_bias():
    convolutions = layers_of(build_backbone(SMALL, 16), keras.layers.Conv2D)
    assert not any(layer.use_bias for layer in convolutions)


def test_papers_batch_normalization():
    norms = layers_of(
        build_backbone(SMALL, 16), keras.layers.BatchNormalization
    )
    assert {(n.momentum, n.epsilon) for n in norms} == {(0.9, 1e-3)}


@pytest.mark.parametrize("size", [15, 16, 40])
def test_any_input_size(size):
    model = build_backbone(SMALL, size)
    images = np.zeros((2, size, size, 3), np.float32)
    assert model(images).shape == (2, 16)


def test_mixed_precision_keeps_float32_features():
    config = NetworkConfig(**{**SMALL.__dict__, "precision": "mixed_bfloat16"})
    features = build_backbone(config, 16)(np.zeros((1, 16, 16, 3), np.float32))
    assert str(features.dtype.name) == "float32"


STRIDE_32 = {
    "basic": {"filters": (8, 8, 16, 16), "stem_stride": 4},
    "bottleneck": {"filters": (8, 8, 16, 32), "stem_stride": 2},
}


@pytest.mark.parametrize("block", STRIDE_32)
@pytest.mark.parametrize("size", [64, 65, 100])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_dilated_stages_see_what_strided_ones_see(block, size, shortcut):
    first = 1 if block == "basic" else 2
    config = NetworkConfig(
        block=block,
        blocks=(1, 1, 1, 2),
        strides=(first, 2, 2, 2),
        stem_filters=8,
        stem_kernel=5,
        shortcut=shortcut,
        **STRIDE_32[block],
    )
    strided, dilated, denser = (
        build_backbone(config, size, stride) for stride in (None, 16, 8)
    )
    names = [w.path for w in strided.weights]
    assert [w.path for w in dilated.weights] == names
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.1, 0.9, w.shape) - 0.4 for w in strided.weights]
    for place, weight in enumerate(strided.weights):
        if weight.name == "moving_variance":
            weights[place] = rng.uniform(0.5, 1.5, weight.shape)
    images = rng.uniform(-1, 1, (2, size, size, 3)).astype(np.float32)
    maps = []
    for model in (strided, dilated, denser):
        model.set_weights(weights)
        last = model.get_layer("final_relu").output
        maps.append(keras.Model(model.input, last)(images).numpy())
    assert maps[0].shape[1] == -(-size // 32)
    assert maps[1].shape[1] == -(-size // 16)
    assert maps[0].any()
    scale = 1e-5 * maps[0].max()
    np.testing.assert_allclose(maps[1][:, ::2, ::2], maps[0], atol=scale)
    np.testing.assert_allclose(maps[2][:, ::4, ::4], maps[0], atol=scale)


def test_a_network_within_the_output_stride_stays_as_it_is():
    plain, asked = (build_backbone(SMALL, 16, stride) for stride in (None, 4))
    assert [v.get_config() for v in plain.layers] == [
        v.get_config() for v in asked.layers
    ]


def of_keras(layer):
    """Returns Keras' own layer that ours stands for."""
    kind = next(k for k in type(layer).__mro__ if k.__module__[:5] == "keras")
    return kind.from_config(layer.get_config())


def test_weights_files_know_no_layers_but_keras_own(tmp_path):
    # They name weights by the class of their layer: trainings of before, with
    # Keras' layers, and of after must read each other's.
    ours = build_backbone(dataclasses.replace(SMALL, squeeze=2), 32)
    theirs = keras.models.clone_model(ours, clone_function=of_keras)
    assert {type(layer).__module__[:5] for layer in theirs.layers} == {"keras"}
    for one, other in ((theirs, ours), (ours, theirs)):
        path = tmp_path / f"{id(one)}.weights.h5"
        one.set_weights([np.random.normal(size=w.shape) for w in one.weights])
        one.save_weights(path)
        other.load_weights(path)
        for weight, expected in zip(other.weights, one.weights, strict=True):
            np.testing.assert_array_equal(weight, expected)
