"""Tests of model.start.preset; those of trainings need KerasHub."""

import dataclasses
import importlib.util
import json
import shutil

import keras
import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import NetworkConfig, StartConfig
from model.network.load_tagger import load_tagger
from model.network.tagger import Tagger
from model.start import begin, load_weights, preset, sources
from model.training.train import train
from tests.helpers import presets
from tests.helpers.configs import QUIET
from tests.helpers.datasets import CLASSES

SIZE = 32
HUB = NetworkConfig(backbone="keras_hub")


def starts_from(folder, config, network=HUB):
    return dataclasses.replace(
        config,
        network=network,
        data=dataclasses.replace(config.data, image_size=SIZE),
        logging=QUIET,
        start=StartConfig(source=str(folder)),
    )


def test_a_preset_says_its_network_and_the_size_of_its_images(tmp_path):
    presets.write_json(tmp_path, depth=3)
    source = sources.find(str(tmp_path))
    assert (source.kind, source.vocabulary) == (sources.PRESET, None)
    assert source.files == (tmp_path / "model.weights.h5",)
    assert source.config.data.image_size == 224
    expected = {
        "backbone": "keras_hub>ABackbone",
        "config": {"depth": 3, "image_shape": [None, None, 3]},
        "converter": None,
    }
    assert json.loads(source.config.network.preset) == expected

    converter = {"config": {"image_size": [96, 96], "scale": 2, "name": "b"}}
    (tmp_path / "image_converter.json").write_text(json.dumps(converter))
    found = preset.read(tmp_path)
    assert found.data.image_size == 96
    assert json.loads(found.network.preset)["converter"] == {"scale": 2}
    # The one size that a backbone takes goes before.
    presets.write_json(tmp_path, image_shape=[64, 64, 3])
    assert preset.read(tmp_path).data.image_size == 64


@pytest.mark.parametrize("text", ["", "[1]", '{"name": "tiny"}'])
def test_another_folder_is_none(tmp_path, text):
    assert preset.read(tmp_path) is None
    (tmp_path / "config.json").write_text(text)
    assert preset.read(tmp_path) is None


def test_damaged_presets_and_those_of_words_are_refused(tmp_path):
    presets.write_json(tmp_path)
    (tmp_path / "image_converter.json").write_text("{")
    with pytest.raises(InputError, match="image_converter.json is damaged"):
        preset.read(tmp_path)
    (tmp_path / "model.weights.h5").unlink()
    with pytest.raises(InputError, match="has no model.weights.h5"):
        preset.read(tmp_path)
    presets.write_json(tmp_path, image_shape=None)
    with pytest.raises(InputError, match="no backbone for colour images, but"):
        preset.read(tmp_path)


def test_without_kerashub_the_extra_is_named(
    tmp_path, tiny_config, monkeypatch
):
    config = starts_from(presets.write_json(tmp_path), tiny_config())
    monkeypatch.setattr("model.backbone_names.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'tagforest\[kerashub\]"):
        begin.described(config, tmp_path / "run", restart=False)


def test_another_network_is_refused(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr("model.backbone_names.find_spec", lambda _: True)
    folder = presets.write_json(tmp_path / "a")
    source = sources.find(str(folder))
    with pytest.raises(InputError, match="--set network.backbone=keras_hub"):
        sources.check_network(source, NetworkConfig())
    other = presets.write_json(tmp_path / "b", depth=4)
    described = begin.described(
        starts_from(other, tiny_config()), tmp_path, restart=False
    )
    with pytest.raises(InputError, match="another network: network.preset is"):
        sources.check_network(source, described.network)
    (tmp_path / "a.h5").touch()
    for wrong in (None, tmp_path / "a.h5"):
        start = StartConfig(source=wrong and str(wrong))
        config = dataclasses.replace(described, network=HUB, start=start)
        with pytest.raises(InputError, match="starts --from a preset's folder"):
            begin.described(config, tmp_path, restart=False)
    with pytest.raises(InputError, match="network.preset must be left out"):
        dataclasses.replace(described.network, backbone="ResNet50V2")


def tagger_of(config, dataset, workdir):
    """Returns an untrained tagger that began, and the lines."""
    tagger = Tagger(config, CLASSES)
    start = begin.plan(config, dataset, workdir)
    return tagger, list(begin.begin(tagger, start))


def assert_begins_from(source, trained, config, dataset):
    """Checks that a training begins with a trained tagger's weights."""
    config = starts_from(source, config)
    config = begin.described(config, source / "none", restart=False)
    assert config.network == trained.config.network
    tagger, _ = tagger_of(config, dataset, source / "none")
    found, expected = map(load_weights.named_weights, (tagger, trained))
    assert found.keys() == expected.keys()
    for name, variable in expected.items():
        np.testing.assert_array_equal(found[name], variable)


@pytest.mark.skipif(
    importlib.util.find_spec("keras_hub") is None,
    reason="keras-hub is not installed",
)
class TestWithKerasHub:
    @pytest.mark.parametrize("has_pixels", [False, True])
    def test_features_are_those_of_the_preset(
        self, tmp_path, tiny_config, tiny_dataset, has_pixels
    ):
        theirs = presets.resnet()
        saved = presets.classifier(theirs, SIZE) if has_pixels else theirs
        saved.save_to_preset(tmp_path / "preset")
        config = starts_from(tmp_path / "preset", tiny_config())
        config = begin.described(config, tmp_path, restart=False)
        tagger, lines = tagger_of(config, tiny_dataset, tmp_path)
        assert "KerasHub preset" in lines[0] and "37 arrays" in lines[0]
        assert "a head of its own begins with it" in lines[1]

        rng = np.random.default_rng(1)
        images = rng.uniform(-1, 1, (2, SIZE, SIZE, 3)).astype(np.float32)
        wanted = images
        if has_pixels:
            wanted = 127.5 * images + 127.5
            wanted = wanted * np.float32(presets.SCALE)
            wanted = wanted + np.float32(presets.OFFSET)
        maps = theirs(wanted, training=False)
        expected = keras.layers.GlobalAveragePooling2D()(maps)
        assert np.ptp(expected) > 0.1
        np.testing.assert_array_equal(tagger.embed(images), expected)

    def test_a_run_needs_its_preset_no_more(
        self, tmp_path, tiny_config, tiny_dataset
    ):
        folder, run = tmp_path / "preset", tmp_path / "run"
        presets.vgg().save_to_preset(folder)
        config = starts_from(folder, tiny_config(epochs=1, batch_size=16))
        train(config, tiny_dataset, run)
        shutil.rmtree(folder)
        # Said in the workdir: the same command goes on, or finds it finished.
        assert train(config, tiny_dataset, run).epochs == 1
        with pytest.raises(InputError, match="does not exist"):
            begin.described(config, run, restart=True)
        assert_begins_from(run, load_tagger(run), tiny_config(), tiny_dataset)

    @pytest.mark.large
    def test_a_training_starts_from_an_export(
        self, tmp_path, tiny_config, tiny_dataset
    ):
        from serving.saved_model.export import export

        folder, run = tmp_path / "preset", tmp_path / "run"
        presets.resnet().save_to_preset(folder)
        config = starts_from(folder, tiny_config(epochs=1, batch_size=16))
        train(config, tiny_dataset, run)
        shutil.rmtree(folder)
        path = export(run, tmp_path / "models")
        assert_begins_from(path, load_tagger(run), tiny_config(), tiny_dataset)

    def test_damaged_weights_and_others_are_refused(self, tmp_path):
        presets.resnet().save_to_preset(tmp_path)
        source = sources.find(str(tmp_path))
        network = source.config.network
        presets.resnet(stackwise_num_filters=[64, 16]).save_weights(
            tmp_path / "model.weights.h5"
        )
        with pytest.raises(InputError, match="does not fit its own config"):
            load_weights.load(source, network)
        (tmp_path / "model.weights.h5").write_bytes(b"no weights")
        with pytest.raises(InputError, match="does not fit its own config"):
            load_weights.load(source, network)
