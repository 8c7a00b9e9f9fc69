"""Tests of model.evaluation.mean_iou against counts by hand and Keras'."""

import keras
import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.evaluation.mean_iou import MaskCounts

VOID = 255


def figures(classes, *pairs):
    counts = MaskCounts(classes)
    for truth, predicted in pairs:
        counts.add(np.uint8(truth), np.uint8(predicted))
    return counts.figures()


def test_hand_counted_over_two_images_of_their_own_sizes():
    found = figures(
        2,
        ([[0, 0, 1], [0, VOID, 1]], [[0, 1, 1], [0, 2, 1]]),
        ([[2], [2]], [[2], [0]]),
    )
    # 0: 2 right of 3 true and 1 more predicted; 1: 2 of 2 and 1; 2: 1 of 2.
    np.testing.assert_allclose(found.iou, [2 / 4, 2 / 3, 1 / 2])
    assert found.mean_iou == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert found.pixel_accuracy == pytest.approx(5 / 7)
    assert found.true_pixels.tolist() == [3, 2, 2]
    assert found.predicted_pixels.tolist() == [3, 3, 1]
    assert found.images == 2


def test_predicted_but_nowhere_true_is_0_and_neither_is_left_out():
    found = figures(3, ([[0, 0, 1, 1]], [[0, 0, 1, 3]]))
    np.testing.assert_allclose(found.iou, [1, 1 / 2, np.nan, 0])
    assert found.mean_iou == pytest.approx(0.5)


def test_a_prediction_on_void_counts_nowhere():
    found = figures(2, ([[0, VOID]], [[0, 2]]))
    np.testing.assert_allclose(found.iou, [1, np.nan, np.nan])


def test_pixels_are_counted_together_not_averaged_by_image():
    found = figures(1, ([[1]], [[0]]), ([[1] * 9], [[1] * 9]))
    np.testing.assert_allclose(found.iou, [0, 9 / 10])


def test_without_a_valid_pixel_there_is_no_figure():
    found = figures(1, ([[VOID]], [[1]]))
    assert np.isnan(found.mean_iou) and np.isnan(found.pixel_accuracy)


def test_counts_are_exact_beyond_float32():
    counts = MaskCounts(1)
    counts.confusion[0, 0] = 2**53
    counts.add(np.uint8([[0]]), np.uint8([[0]]))
    assert counts.confusion[0, 0] == 2**53 + 1


def test_as_keras_counts():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, (3, 20, 30)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.1] = VOID
    predicted = rng.integers(0, 4, truth.shape).astype(np.uint8)
    metric = keras.metrics.MeanIoU(6, ignore_class=VOID)
    metric.update_state(truth.astype(np.int32), predicted.astype(np.int32))
    found = figures(5, *zip(truth, predicted, strict=True))
    assert found.mean_iou == pytest.approx(float(metric.result()))


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([[0]], [[0, 0]], r"own size; received: truth \(1, 1\)"),
        ([[3]], [[0]], "true masks must hold ids from 0 to 2; received: 3"),
        ([[0]], [[VOID]], "predicted masks .* received: 255"),
    ],
)
def test_refusals(truth, predicted, message):
    with pytest.raises(InputError, match=message):
        figures(2, (truth, predicted))
