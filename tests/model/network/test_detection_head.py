"""Tests of model.network.detection_head."""

import keras
import numpy as np
import pytest

from model.network.detection_head import build_head

POINTS = 25 * 25 + 13 * 13 + 7 * 7


def head(precision="float32", more=1):
    maps = {
        3: keras.KerasTensor((None, 25, 25, 8), "float32"),
        4: keras.KerasTensor((None, 13, 13, 12), "float32"),
    }
    return build_head(maps, more, classes=3, filters=16, precision=precision)


def maps(images=2):
    rng = np.random.default_rng(0)
    shapes = [(images, 25, 25, 8), (images, 13, 13, 12)]
    return [rng.random(s, np.float32) for s in shapes]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_it_predicts_for_all_points_in_float32(precision):
    model = head(precision)
    found = model(maps())
    assert found["classes"].shape == (2, POINTS, 3)
    assert found["distances"].shape == (2, POINTS, 4)
    assert found["quality"].shape == (2, POINTS)
    assert {v.dtype.name for v in found.values()} == {"float32"}
    assert {w.dtype for w in model.weights} == {"float32"}


def test_an_untrained_head_gives_each_class_a_hundredth():
    found = head()(maps())
    odds = 1 / (1 + np.exp(-found["classes"].numpy()))
    assert 0.005 < odds.min() < 0.01 < odds.max() < 0.02
    distances = found["distances"].numpy()
    assert 0.5 < distances.min() < distances.max() < 2.0


def test_weights_do_not_grow_with_the_maps_but_for_a_scale():
    few, more = head(more=1), head(more=2)
    new = {w.path for w in more.weights} - {w.path for w in few.weights}
    assert sorted(new) == [
        "distances_scale3/gamma",
        "more6/bias",
        "more6/kernel",
    ]


def test_what_a_coarse_map_sees_reaches_the_fine_one():
    model = head()
    fine, coarse = maps(1)
    before = model([fine, coarse])["classes"].numpy()[0, :625]
    after = model([fine, coarse + 1.0])["classes"].numpy()[0, :625]
    assert np.abs(before - after).max(axis=1).min() > 0.0


def test_huge_exponents_stay_finite():
    model = head()
    model.get_layer("distances").bias.assign([1e4] * 4)
    found = model(maps())["distances"].numpy()
    np.testing.assert_allclose(found, np.exp(8.0), rtol=1e-5)
