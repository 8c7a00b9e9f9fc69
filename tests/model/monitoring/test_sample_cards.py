"""Tests of model.monitoring.sample_cards: lines, colours, places of tiles."""

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from model.monitoring.sample_cards import (
    draw_cards,
    tag_lines,
    thumbnails,
    tiled,
)
from model.monitoring.samples import Classes

GREEN, RED, GREY = (0, 110, 40), (185, 40, 30), (40, 40, 40)


def make_classes():
    names = ["animal", "dog, domestic dog", "cat", "puppy"]
    tags = [TagClass(i, f"n0000000{i}", n) for i, n in enumerate(names)]
    return Classes(Vocabulary(tags), Hierarchy([(), (0,), (0,), (1,)]))


def test_lines_of_an_image():
    targets = np.array([1, 1, 0, 0], np.int8)
    scores = np.array([0.9, 0.7, 0.8, 0.1])
    lines = tag_lines(targets, scores, make_classes())
    assert lines[:6] == [
        ("0.90 animal", GREEN),
        ("0.80 cat", RED),
        ("0.70 dog", GREEN),
        ("0.10 puppy", RED),
        ("leaf: 0.80 cat", RED),
        ("true: 0.70 dog", GREY),
    ]
    # As many for every image, so that all cards are of one size.
    assert len(lines) == 9 == len(tag_lines(-targets, scores, make_classes()))


def test_unknown_is_not_right():
    targets = np.array([1, -1, -1, -1], np.int8)
    lines = tag_lines(targets, np.array([0.1, 0.9, 0.0, 0.0]), make_classes())
    assert lines[0] == ("0.90 dog", RED)


def test_most_specific_is_deepest_first():
    assert make_classes().most_specific([0, 1, 2, 3]) == [3, 2]


def test_tiles_go_row_by_row():
    tiles = [np.full((1, 2, 3), i, np.uint8) for i in (1, 2, 3)]
    sheet = tiled(tiles, 2, background=9)
    assert sheet[..., 0].tolist() == [[1, 1, 2, 2], [3, 3, 9, 9]]


def test_pictures_hold_the_image():
    images = np.stack([np.full((4, 4, 3), v) for v in (-1.0, 1.0)])
    targets = np.zeros((2, 4), np.int8)
    picture = draw_cards(images, targets, np.zeros((2, 4)), make_classes())
    assert picture.shape == (393, 480, 3)
    assert picture[100, 100].tolist() == [0, 0, 0]
    assert picture[100, 360].tolist() == [255, 255, 255]
    assert thumbnails(images, 2)[1].tolist() == [[[255] * 3] * 2] * 2
