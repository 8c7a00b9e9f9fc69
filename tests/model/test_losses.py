"""Tests of model.losses against numbers computed by hand."""

import math

import keras
import numpy as np
import pytest

from model.config import LossConfig
from model.losses import (
    AdaptiveLoss,
    adaptive_loss,
    class_coefficients,
    kept_fraction,
    kept_negatives,
    update_runs,
    weighted_cross_entropy,
)

LOG2 = math.log(2.0)


def array(*values):
    return np.array(values, np.float32)


def coefficients_over(batches, config, selected=1.0):
    """Feeds one class's presence batch by batch; returns its weights."""
    runs = np.zeros((2, 1), np.float32)
    weights = []
    for present in batches:
        step = array(present), array(selected)
        runs = update_runs(runs, *step, config)
        found = class_coefficients(runs, *step, config)
        weights.append(float(np.asarray(found)[0]))
    return weights


def test_cross_entropy_at_zero_logits():
    loss = weighted_cross_entropy(array(1, 0), array(0, 0), 12.0)
    np.testing.assert_allclose(loss, [12 * LOG2, LOG2], rtol=1e-6)


def test_cross_entropy_of_huge_logits_is_finite():
    logits = array(1e4, -1e4, 1e4, -1e4)
    loss = weighted_cross_entropy(array(1, 1, 0, 0), logits)
    np.testing.assert_allclose(loss, [0, 1e4, 1e4, 0])


def test_paper_coefficients_of_the_table():
    weights = coefficients_over([1] * 10, LossConfig())
    expected = {1: 1.0, 2: 0.9, 3: 0.81, 5: 0.6561, 9: 0.43046721}
    for run, value in expected.items():
        assert weights[run - 1] == pytest.approx(value, rel=1e-5)


def test_paper_treats_absent_runs_alike_and_flips_restart():
    weights = coefficients_over([1, 1, 0, 0, 0, 1], LossConfig())
    expected = [1, 0.9, 1, 0.9, 0.81, 1]
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_paper_floor():
    assert coefficients_over([1] * 200, LossConfig())[-1] < 1e-8
    floored = coefficients_over([1] * 200, LossConfig(floor=0.2))
    assert floored[-1] == pytest.approx(0.2)


def test_released_positive_coefficients_of_the_table():
    weights = coefficients_over([1] * 12, LossConfig.released())
    expected = {1: 0.9957, 2: 0.6968, 3: 0.5214, 5: 0.3002, 9: 0.0453}
    for run, value in expected.items():
        assert weights[run - 1] == pytest.approx(value, abs=5e-5)
    assert weights[9:] == pytest.approx([0.01] * 3)


def test_released_negative_coefficients_of_the_table():
    weights = coefficients_over([0] * 5, LossConfig.released())
    assert weights[0] == pytest.approx(0.0458, abs=5e-5)
    assert weights[1:] == pytest.approx([0.001] * 4)


def test_released_counts_only_selected_negative_batches():
    config = LossConfig.released()
    runs = update_runs(np.zeros((2, 1)), array(0), array(0), config)
    np.testing.assert_array_equal(runs, [[0], [0]])
    runs = update_runs(np.zeros((2, 1)), array(0), array(0), LossConfig())
    np.testing.assert_array_equal(runs, [[0], [1]])


@pytest.mark.parametrize("config", [LossConfig(), LossConfig.released()])
def test_unselected_absent_class_has_no_weight(config):
    assert coefficients_over([0], config, selected=0.0) == [0.0]
    assert coefficients_over([1], config, selected=0.0)[0] > 0.9


def test_kept_fraction():
    # 100 images: 2 positives keep 10 of 98; 50 keep all; none keeps all.
    part = kept_fraction(array(2, 50, 0), 100, 5.0)
    np.testing.assert_allclose(part, [10 / 98, 1, 1], rtol=1e-6)


def test_kept_negatives_are_an_arc_of_the_circle():
    kept = kept_negatives(
        array(0, 0.25, 0.5, 0.75), array(0.0, 0.5), array(0.5, 0.25)
    )
    expected = [[1, 0], [1, 0], [0, 1], [0, 0]]
    np.testing.assert_array_equal(kept, np.array(expected, bool))


def test_kept_negatives_have_the_wished_count():
    rng = np.random.default_rng(0)
    places = rng.permutation(64).astype(np.float32) / 64
    shifts = rng.random(500, np.float32)
    fraction = np.full(500, 0.3, np.float32)
    kept = np.asarray(kept_negatives(places, shifts, fraction))
    assert set(kept.sum(axis=0)) <= {19, 20}
    assert abs(kept.mean(axis=1) - 0.3).max() < 0.1


def test_loss_of_two_images_by_hand():
    targets = np.array([[1, 0, -1], [0, 0, 1]], np.int8)
    logits = np.zeros((2, 3), np.float32)
    weights = array(1.0, 0.5, 2.0)
    # Classes: (12 + 1)/2, (1 + 1)/2, (unknown 0 + 12)/2, in units of log 2.
    expected = LOG2 * (6.5 * 1.0 + 1.0 * 0.5 + 6.0 * 2.0)
    released = LossConfig.released()
    found = adaptive_loss(targets, logits, weights, None, released)
    assert float(found) == pytest.approx(expected, rel=1e-6)
    found = adaptive_loss(targets, logits, weights, None, LossConfig())
    assert float(found) == pytest.approx(expected / 3, rel=1e-6)


def test_down_sampling_drops_negatives_never_positives():
    targets = np.array([[1], [0], [0]], np.int8)
    kept = np.array([[False], [True], [False]])
    logits = np.zeros((3, 1), np.float32)
    found = adaptive_loss(targets, logits, array(1), kept, LossConfig())
    assert float(found) == pytest.approx(13 * LOG2 / 3, rel=1e-6)


def test_plain_cross_entropy_is_keras_own():
    rng = np.random.default_rng(1)
    targets = (rng.random((4, 5)) < 0.3).astype(np.int8)
    logits = rng.normal(size=(4, 5)).astype(np.float32)
    loss = AdaptiveLoss(LossConfig.cross_entropy())
    draws = np.zeros(4), np.zeros(5), np.full(5, 0.99)
    found, _ = loss(targets, logits, targets.sum(0), 4, np.zeros((2, 5)), draws)
    own = keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits)
    assert float(found) == pytest.approx(5 * float(own), rel=1e-5)
    assert float(loss.evaluate(targets, logits)) == pytest.approx(float(found))


def test_loss_of_a_batch_from_state_to_state():
    loss = AdaptiveLoss(LossConfig(negative_ratio=1.0))
    targets = np.array([[1, 0], [0, 0]], np.int8)
    runs = array([1, 0], [0, 3])
    draws = array(0.0, 0.5), array(0.0, 0.0), array(0.5, 0.05)
    found, runs = loss(
        targets, np.zeros((2, 2), np.float32), array(1, 0), 2, runs, draws
    )
    # Class 0: second batch with a positive, 0.9; its one negative is kept.
    # Class 1: fourth without, selected, 0.729, all negatives.
    expected = LOG2 * (0.9 * 6.5 + 0.729 * 1.0) / 2
    assert float(found) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(runs, [[2, 0], [0, 4]])


def test_serialization():
    loss = AdaptiveLoss(LossConfig.released(decay=0.8))
    again = AdaptiveLoss.from_config(loss.get_config())
    assert again.config == loss.config
