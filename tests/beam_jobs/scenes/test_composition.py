import numpy as np
import pytest

from beam_jobs.scenes.catalogue import load_catalogue
from beam_jobs.scenes.composition import (
    choose_absent,
    choose_companions,
    choose_main_class,
    compose_scene,
    place_glyphs,
)


def chosen(count):
    for i in range(count):
        rng = np.random.default_rng([7, i])
        yield choose_companions(choose_main_class([7], i), rng)


def test_every_class_is_the_main_one_once_a_round():
    count = len(load_catalogue())
    for first in (0, count):
        mains = {choose_main_class([3], first + i).wnid for i in range(count)}
        assert len(mains) == count
    orders = [
        [choose_main_class([s], i).wnid for i in range(5)] for s in (3, 4)
    ]
    assert orders[0] != orders[1]


def test_scenes_have_one_to_five_objects():
    counts = np.bincount([len(c) for c in chosen(500)], minlength=6)
    assert len(counts) == 6
    assert counts[0] == 0
    assert counts[1:].min() > 20


def test_classes_of_a_theme_occur_together_more_than_chance():
    pairs = shared = 0
    for main, *companions in chosen(1000):
        for companion in companions:
            if companion != main:
                pairs += 1
                shared += bool(set(main.themes) & set(companion.themes))
    catalogue = load_catalogue()
    chance = np.mean(
        [
            bool(set(a.themes) & set(b.themes))
            for a in catalogue
            for b in catalogue
            if a != b
        ]
    )
    assert chance < 0.15
    assert shared / pairs > 0.6


def test_absent_classes_are_absent_and_distinct():
    for present in chosen(200):
        absent = choose_absent(present, np.random.default_rng(0))
        assert len(set(absent)) == 3
        assert not set(absent) & set(present)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_places(count):
    catalogue = load_catalogue()
    for seed in range(60):
        rng = np.random.default_rng([count, seed])
        classes = [
            catalogue[i] for i in rng.integers(len(catalogue), size=count)
        ]
        placed = place_glyphs(classes, rng)
        for glyph, scene_class in zip(placed, classes, strict=True):
            assert glyph.glyph in scene_class.glyphs
        assert min(p.size for p in placed) >= 0.28
        assert max(abs(p.angle) for p in placed) <= 30


def test_boxes_lie_inside_and_hardly_overlap():
    covered = []
    for classes in chosen(200):
        rng = np.random.default_rng(len(covered))
        boxes = compose_scene(classes, rng, 64).boxes
        for number, a in enumerate(boxes):
            assert 0 <= a.x_min < a.x_max <= 1
            assert 0 <= a.y_min < a.y_max <= 1
            covered += [share_covered(a, b) for b in boxes[:number]]
    assert np.mean(np.array(covered) < 0.15) > 0.99
    assert max(covered) < 0.6


def share_covered(a, b):
    width = min(a.x_max, b.x_max) - max(a.x_min, b.x_min)
    height = min(a.y_max, b.y_max) - max(a.y_min, b.y_min)
    areas = [(c.x_max - c.x_min) * (c.y_max - c.y_min) for c in (a, b)]
    return max(width, 0) * max(height, 0) / min(areas)
