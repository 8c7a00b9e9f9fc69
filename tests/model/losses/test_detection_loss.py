"""Tests of model.losses.detection_loss, by numbers of a hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.losses.detection_loss import (
    IGNORED,
    NOTHING,
    assign,
    boxes_at,
    detection_loss,
    overlaps,
    positives,
)

LN2 = np.log(2.0)


def grid(count):
    middles = (np.arange(count) + 0.5) / count
    y, x = np.meshgrid(middles, middles, indexing="ij")
    return np.stack([y, x, np.full_like(y, 1 / count)], -1).reshape(-1, 3)


# Maps of 16 x 16 and 8 x 8: objects of at most 8/16 of the side are on the
# finer one.
POINTS = np.concatenate([grid(16), grid(8)]).astype(np.float32)


def assigned(*objects):
    """Returns labels of both maps, [16, 16] and [8, 8], and all boxes.

    Args:
        objects: label, box in 16ths of the side.
    """
    boxes = np.float32([[box for _, box in objects]]) / 16
    labels = np.int32([[label for label, _ in objects]])
    found, owned = assign(tf.constant(boxes), tf.constant(labels), POINTS)
    found = np.array(found)[0]
    return found[:256].reshape(16, 16), found[256:].reshape(8, 8), owned[0]


def places(labels, label):
    return [tuple(p) for p in np.argwhere(labels == label).tolist()]


def square(low, high):
    """Returns the places of a square of a map, both ends in."""
    middle = range(low, high + 1)
    return [(y, x) for y in middle for x in middle]


def test_an_objects_points_lie_around_its_middle():
    # Middle at 8: points at 6.5, 7.5, 8.5, 9.5; less than 1.5 away are two.
    fine, coarse, boxes = assigned((3, (4, 4, 12, 12)), (NOTHING, (0,) * 4))
    assert places(fine, 3) == square(7, 8)
    assert (fine == NOTHING).sum() == 252
    assert (coarse == NOTHING).all()
    np.testing.assert_allclose(
        boxes[7 * 16 + 7], np.float32([4, 4, 12, 12]) / 16
    )
    # Middle at 8.5, a point: this one and its neighbours.
    fine, _, _ = assigned((3, (5, 5, 12, 12)))
    assert places(fine, 3) == square(7, 9)


def test_a_large_object_is_on_the_coarse_map():
    fine, coarse, _ = assigned((0, (3, 3, 12, 12)))
    assert (fine == NOTHING).all()
    # Middle at 7.5 of 16: points at 5, 7 and 9 are less than 3 away.
    assert places(coarse, 0) == square(2, 4)
    # 16 x 4 is as large as 8 x 8.
    fine, coarse, _ = assigned((0, (0, 4, 16, 8)))
    assert len(places(fine, 0)) == 4 and (coarse == NOTHING).all()


def test_points_outside_of_a_thin_object_are_not_its():
    # Of 1.2 around 8.5: only one row of points is inside.
    fine, _, _ = assigned((1, (7.9, 4, 9.1, 11)))
    assert places(fine, 1) == [(8, 6), (8, 7), (8, 8)]


def test_an_object_between_the_points_has_the_nearest():
    fine, coarse, _ = assigned((2, (3.6, 5.6, 3.9, 5.9)))
    assert places(fine, 2) == [(3, 5)]
    assert (coarse == NOTHING).all()


def test_of_two_objects_a_point_has_the_smaller():
    fine, _, boxes = assigned((1, (5, 5, 12, 12)), (2, (7, 7, 9, 9)))
    # Points of 2: 7.5 and 8.5; of 1 also 9.5.
    assert places(fine, 2) == square(7, 8)
    assert sorted(places(fine, 1)) == sorted(
        set(square(7, 9)) - set(square(7, 8))
    )
    assert np.isclose(boxes[8 * 16 + 8, 0], 7 / 16)
    assert np.isclose(boxes[9 * 16 + 9, 0], 5 / 16)


def test_an_ignored_object_has_no_background_but_others_in_it_count():
    fine, coarse, _ = assigned(
        (IGNORED, (0, 0, 8, 8)), (1, (2, 2, 4, 4)), (NOTHING, (0, 0, 16, 16))
    )
    assert places(fine, 1) == square(2, 3)
    assert sorted(places(fine, IGNORED)) == sorted(
        set(square(0, 7)) - set(square(2, 3))
    )
    assert places(coarse, IGNORED) == square(0, 3)
    assert (fine == NOTHING).sum() == 256 - 64


def test_a_box_without_size_is_none():
    fine, coarse, _ = assigned((1, (4, 4, 4, 9)), (1, (9, 9, 4, 4)))
    assert (fine == NOTHING).all() and (coarse == NOTHING).all()


def test_overlaps():
    one = np.float32([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 1, 1], [0, 0, 0, 0]])
    two = np.float32([[0, 2, 1, 3], [1, 1, 3, 3], [0, 0, 1, 1], [0, 0, 0, 0]])
    iou, giou = overlaps(one, two)
    # Unions 2, 7, 1 in hulls of 3, 9, 1.
    np.testing.assert_allclose(iou, [0, 1 / 7, 1, 0], rtol=1e-6)
    np.testing.assert_allclose(giou[:3], [-1 / 3, 1 / 7 - 2 / 9, 1], rtol=1e-6)
    assert np.isfinite(giou[3])


def test_boxes_of_distances():
    points = np.float32([[0.5, 0.25, 0.125]])
    box = boxes_at(points, np.float32([[[1, 2, 3, 4]]]))
    np.testing.assert_allclose(box[0, 0], [0.375, 0, 0.875, 0.75])


# A positive point of class 1 of 2, one on the background, an ignored one.
THREE = np.float32([[0.5, 0.5, 0.25], [0.1, 0.1, 0.25], [0.9, 0.9, 0.25]])
LABELS = np.int32([[1, NOTHING, IGNORED]])
BOXES = np.float32([[[0.25, 0.25, 0.75, 0.75], [0] * 4, [0] * 4]])


def outputs(distances=1.0, images=1):
    return {
        "classes": tf.zeros([images, 3, 2]),
        "distances": tf.fill([images, 3, 4], distances),
        "quality": tf.zeros([images, 3]),
    }


# Focal loss at p = 1/2: (1/2)^2 ln 2, times 1/4 of the positive pair and 3/4
# of the negative ones: one beside it, two of the background.
BY_CLASS = 0.25 * (0.25 + 3 * 0.75) * LN2


def test_the_loss_of_three_points():
    loss = detection_loss(outputs(), LABELS, BOXES, THREE)
    # The box is right: nothing for it; cross-entropy of 1/2 for its quality.
    np.testing.assert_allclose(loss, BY_CLASS + LN2, rtol=1e-6)
    # Twice as high and wide: IoU and GIoU are 1/4.
    loss = detection_loss(outputs(2.0), LABELS, BOXES, THREE)
    np.testing.assert_allclose(loss, BY_CLASS + 0.75 + LN2, rtol=1e-6)


def test_quality_learns_the_overlap_and_boxes_learn_nothing_from_it():
    raw = outputs(2.0)
    with tf.GradientTape() as tape:
        tape.watch(raw)
        loss = detection_loss(raw, LABELS, BOXES, THREE)
    slopes = tape.gradient(loss, raw)
    # sigmoid(0) - 1/4.
    np.testing.assert_allclose(slopes["quality"], [[0.25, 0, 0]], rtol=1e-6)
    # IoU is 4 / ((a + c) (b + d)): its slope by each is -1/4 * 1/4.
    np.testing.assert_allclose(
        slopes["distances"], [[[1 / 16] * 4, [0] * 4, [0] * 4]], rtol=1e-5
    )
    assert (slopes["classes"][0, 2].numpy() == 0).all()
    assert (slopes["classes"][0, 1].numpy() > 0).all()


def test_weights_leave_images_out():
    labels = np.concatenate([LABELS, np.int32([[0, 1, NOTHING]])])
    boxes = np.concatenate([BOXES, BOXES])
    raw = outputs(images=2)
    one = detection_loss(raw, labels, boxes, THREE, np.float32([1, 0]))
    np.testing.assert_allclose(one, BY_CLASS + LN2, rtol=1e-6)
    assert float(positives(labels)) == 3.0
    assert float(positives(labels, np.float32([1, 0]))) == 1.0


def test_an_image_without_objects_teaches_background():
    labels = np.full_like(LABELS, NOTHING)
    loss = detection_loss(outputs(), labels, BOXES, THREE)
    np.testing.assert_allclose(loss, 6 * 0.75 * 0.25 * LN2, rtol=1e-6)


@pytest.mark.parametrize("logit", [-80.0, 80.0])
def test_extreme_outputs_have_finite_slopes(logit):
    raw = {k: tf.fill(v.shape, logit) for k, v in outputs().items()}
    raw["distances"] = tf.fill([1, 3, 4], float(np.exp(min(logit, 8.0))))
    with tf.GradientTape() as tape:
        tape.watch(raw)
        loss = detection_loss(raw, LABELS, BOXES, THREE)
    assert np.isfinite(loss)
    for slope in tape.gradient(loss, raw).values():
        assert np.isfinite(slope).all()


def test_it_runs_compiled_with_static_shapes():
    @tf.function(jit_compile=True)
    def run(boxes, labels):
        found, owned = assign(boxes, labels, POINTS)
        return found, owned

    boxes = np.random.default_rng(0).random((2, 5, 4)).astype(np.float32)
    labels = np.int32([[0, 1, -1, -2, 2]] * 2)
    for a, b in zip(
        run(boxes, labels), assign(boxes, labels, POINTS), strict=True
    ):
        np.testing.assert_array_equal(a, keras.ops.convert_to_numpy(b))
