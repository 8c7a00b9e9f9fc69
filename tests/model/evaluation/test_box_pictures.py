"""Tests of model.evaluation.box_pictures."""

import numpy as np
import pytest

from model.evaluation.box_pictures import Boxes, class_colour, draw, sheet

RED, BLUE = (255, 0, 0), (0, 0, 255)


def grey(height=120, width=200):
    return np.full((height, width, 3), 90, np.uint8)


def test_a_box_lies_on_its_edges_and_leaves_the_rest():
    image = grey()
    drawn = draw(image, np.array([[40, 50, 100, 150]]), ["a"], None, [RED])
    assert (image == 90).all()
    changed = (drawn != image).any(axis=2)
    rows, columns = (np.flatnonzero(changed.any(axis=i)) for i in (1, 0))
    # The text stands over the box, so that only rows go further.
    assert rows[0] < 40 and rows[-1] == 99
    assert (columns[0], columns[-1]) == (50, 149)
    for y, x in ((70, 50), (70, 149), (99, 100), (40, 100)):
        assert tuple(drawn[y, x]) == RED
    assert not changed[50:90, 60:140].any()


def test_the_first_box_lies_on_top():
    boxes = np.array([[40, 50, 100, 150]] * 2)
    drawn = draw(grey(), boxes, ["a", "b"], np.array([0.9, 0.1]), [RED, BLUE])
    assert tuple(drawn[70, 50]) == RED


def test_scores_are_written_behind_the_labels():
    box = np.array([[40, 10, 100, 150]])
    plain, scored = (
        (draw(grey(), box, ["dog"], s, [BLUE]) == BLUE).all(axis=2)[:38].sum()
        for s in (None, np.array([0.5]))
    )
    assert scored > 1.4 * plain > 0


@pytest.mark.parametrize(
    "box",
    [(-20, -30, 20, 30), (100, 180, 130, 230), (5, 5, 5, 5), (9, 9, 2, 2)],
)
def test_boxes_beside_the_image_and_without_size_are_drawn(box):
    drawn = draw(grey(), np.array([box], float), ["label"], None, [RED])
    assert drawn.shape == (120, 200, 3)
    # The label can be read.
    assert (drawn == RED).all(axis=2).sum() > 200


def test_no_boxes_change_nothing():
    none = draw(grey(), np.zeros((0, 4)), [], np.zeros(0), [])
    np.testing.assert_array_equal(none, grey())


def test_colours_of_classes_differ_and_ignored_ones_are_grey():
    colours = [class_colour(i) for i in range(20)]
    assert len(set(colours)) == 20
    assert len(set(class_colour(-2))) == 1


def test_a_sheet_has_true_boxes_beside_found_ones():
    images = [grey(), grey(300, 100), grey()]
    true = [Boxes(np.array([[20.0, 20, 100, 150]]), np.array([0]))] * 3
    found = [
        Boxes(np.array([[20.0, 20, 100, 150]]), np.array([1]), np.array([0.5]))
    ] * 3
    made = sheet(images, true, found, ["a", "b"])
    assert made.dtype == np.uint8
    height, width = made.shape[:2]
    quarter = width // 4
    # Two pairs above, one below with white beside it.
    first, second = (
        made[: height // 3, i * quarter : (i + 1) * quarter] for i in range(2)
    )
    assert (first == class_colour(0)).all(axis=2).sum() > 1000
    assert not (first == class_colour(1)).all(axis=2).any()
    assert (second == class_colour(1)).all(axis=2).sum() > 1000
    assert (made[-200:, 2 * quarter :] == 255).all()


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        sheet([], [], [], [])
    with pytest.raises(ValueError):
        sheet([grey()], [], [], [])
