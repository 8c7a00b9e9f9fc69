"""Tests of model.transfer.other_size."""

import dataclasses

import numpy as np

from model.inputs.input_pipeline import make_eval_dataset
from model.network.load_tagger import load_tagger
from model.network.tagger import Tagger
from model.training.train import finished, train
from model.transfer.other_size import at_size
from tests.helpers.configs import QUIET


def test_it_is_the_same_network_on_larger_images(
    tiny_dataset, tiny_config, tmp_path
):
    config = tiny_config(epochs=1)
    data = dataclasses.replace(config.data, crop_fraction=0.5)
    config = dataclasses.replace(config, data=data, logging=QUIET)
    result = train(config, tiny_dataset, tmp_path / "run")
    out = at_size(tmp_path / "run", 24)
    assert out == tmp_path / "run-seen-at-24"
    assert finished(out).weights_sha256 == result.weights_sha256
    one, other = load_tagger(tmp_path / "run"), load_tagger(out)
    assert other.config.data.crop_fraction == 1.0
    rows = make_eval_dataset(
        tiny_dataset, other.config.data, classes=other.classes, batch_size=4
    )
    images, _ = next(iter(rows))
    assert images.shape == (4, 24, 24, 3)
    made = dataclasses.replace(data, image_size=24, crop_fraction=1.0)
    expected = Tagger(dataclasses.replace(config, data=made), one.classes)
    expected.set_weights(one.get_weights())
    np.testing.assert_array_equal(other(images), expected(images))
