import importlib.util

import numpy as np
import pytest
from PIL import Image

from beam_jobs.errors import InputError
from beam_jobs.scenes import backgrounds
from beam_jobs.scenes.drawing import (
    PlacedGlyph,
    draw_scene,
    find_font,
    glyph_image,
)

WHITE = Image.new("RGB", (100, 100), "white")


def drawn_extent(image):
    rows, columns = np.nonzero((np.asarray(image) != 255).any(axis=-1))
    return columns.min(), columns.max() + 1, rows.min(), rows.max() + 1


def test_box_is_the_extent_of_the_glyph():
    placed = PlacedGlyph("🐄", size=0.5, angle=20, mirrored=False, x=0.5, y=0.4)
    scene, [box], _ = draw_scene(WHITE, [placed])
    extent = np.array(drawn_extent(scene)) / 100
    box_edges = (box.x_min, box.x_max, box.y_min, box.y_max)
    # The outermost pixels may be too faint to change the background.
    np.testing.assert_allclose(box_edges, extent, atol=0.021)


def test_size_is_that_of_the_longer_side():
    placed = PlacedGlyph("🦒", size=0.6, angle=0, mirrored=False, x=0.5, y=0.5)
    _, [box], _ = draw_scene(WHITE, [placed])
    longer = max(box.x_max - box.x_min, box.y_max - box.y_min)
    assert longer == pytest.approx(0.6, abs=0.021)


def test_mirrored():
    straight = PlacedGlyph("🐄", 1.0, 0, mirrored=False, x=0.5, y=0.5)
    mirrored = PlacedGlyph("🐄", 1.0, 0, mirrored=True, x=0.5, y=0.5)
    a = np.asarray(draw_scene(WHITE, [straight])[0])
    b = np.asarray(draw_scene(WHITE, [mirrored])[0])
    np.testing.assert_array_equal(a, b[:, ::-1])


def test_background_is_left_alone():
    placed = PlacedGlyph("🐄", 1.0, 0, mirrored=False, x=0.5, y=0.5)
    draw_scene(WHITE, [placed])
    assert WHITE.getextrema() == ((255, 255),) * 3


def test_glyphs_are_coloured():
    banana = np.asarray(glyph_image("🍌").convert("RGBA"), np.int32)
    opaque = banana[banana[..., 3] == 255][:, :3]
    yellow = (opaque[:, 0] > 200) & (opaque[:, 2] < 120)
    assert yellow.mean() > 0.3


@pytest.mark.parametrize("kind", backgrounds._KINDS)
def test_backgrounds_are_never_dark(kind, monkeypatch):
    monkeypatch.setattr(backgrounds, "_KINDS", (kind,))
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image = backgrounds.draw_background(rng, 32)
        assert (image.size, image.mode) == ((32, 32), "RGB")
        assert np.asarray(image).max(axis=-1).min() >= 100


def test_missing_font_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'tagforest\[demo\]'"):
        find_font()
