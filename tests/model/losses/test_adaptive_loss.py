"""Tests of model.losses.adaptive_loss against the table computed by hand."""

import numpy as np
import pytest

from model.config import LossConfig
from model.losses.adaptive_loss import (
    class_coefficients,
    class_counts,
    kept_fraction,
    kept_negatives,
    update_runs,
)

PAPER = LossConfig()
RELEASED = LossConfig(kind="released")


def array(*values):
    return np.array(values, np.float32)


def coefficients_over(batches, config, selected=1.0):
    """Feeds one class's presence batch by batch; returns its weights."""
    runs = np.zeros((2, 1), np.float32)
    weights = []
    for present in batches:
        step = array(present), array(selected)
        runs = update_runs(runs, *step, config.kind)
        found = class_coefficients(runs, *step, config)
        weights.append(float(np.asarray(found)[0]))
    return weights


# t: the paper's r, the released code's coefficient of a positive batch and
# of a negative one.
TABLE = {
    1: (1.0, 0.9957, 0.0458),
    2: (0.9, 0.6968, 0.001),
    3: (0.81, 0.5214, 0.001),
    5: (0.6561, 0.3002, 0.001),
    9: (0.4305, 0.0453, 0.001),
    10: (0.3874, 0.01, 0.001),
    20: (0.1351, 0.01, 0.001),
}


@pytest.mark.parametrize("t", TABLE)
def test_coefficients_of_the_table(t):
    paper, positive, negative = TABLE[t]
    near = dict(abs=5e-5)
    assert coefficients_over([1] * t, PAPER)[-1] == pytest.approx(paper, **near)
    assert coefficients_over([0] * t, PAPER)[-1] == pytest.approx(paper, **near)
    found = coefficients_over([1] * t, RELEASED)[-1]
    assert found == pytest.approx(positive, **near)
    found = coefficients_over([0] * t, RELEASED)[-1]
    assert found == pytest.approx(negative, **near)


def test_papers_runs_restart_at_a_flip():
    weights = coefficients_over([1, 1, 0, 0, 0, 1], PAPER)
    np.testing.assert_allclose(weights, [1, 0.9, 1, 0.9, 0.81, 1], rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "expected"),
    [(PAPER, [1.0] * 6), (RELEASED, [0.9957, 0.0458] * 3)],
)
def test_class_that_flips_each_batch(config, expected):
    weights = coefficients_over([1, 0, 1, 0, 1, 0], config)
    np.testing.assert_allclose(weights, expected, atol=5e-5)


def test_class_of_every_batch():
    # The paper's r vanishes within an epoch; the code's stays at its floor.
    assert coefficients_over([1] * 200, PAPER)[-1] < 1e-8
    floored = coefficients_over([1] * 200, LossConfig(floor=0.2))
    assert floored[-1] == pytest.approx(0.2)
    assert coefficients_over([1] * 200, RELEASED)[-1] == pytest.approx(0.01)


def test_decay_of_one_switches_r_off():
    assert coefficients_over([1, 1, 0, 1], LossConfig(decay=1.0)) == [1.0] * 4


@pytest.mark.parametrize("kind", ["bce", "focal", "asymmetric"])
def test_other_kinds_weigh_all_classes_alike(kind):
    config = LossConfig(kind=kind)
    assert coefficients_over([1, 1, 0, 0], config) == [1.0] * 4


def test_released_counts_only_selected_negative_batches():
    zeros = np.zeros((2, 1))
    runs = update_runs(zeros, array(0), array(0), "released")
    np.testing.assert_array_equal(runs, [[0], [0]])
    runs = update_runs(zeros, array(0), array(0), "paper")
    np.testing.assert_array_equal(runs, [[0], [1]])


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_unselected_absent_class_has_no_weight(config):
    assert coefficients_over([0], config, selected=0.0) == [0.0]
    assert coefficients_over([1], config, selected=0.0)[0] > 0.9


@pytest.mark.parametrize("rows", [5, 8, 1024])
def test_class_counts(rows):
    chosen = np.zeros((rows, 3), bool)
    chosen[:, 1], chosen[2:5, 2] = True, True
    found = np.asarray(class_counts(chosen))
    np.testing.assert_array_equal(found, [0, rows, 3])


def test_kept_fraction():
    # 2 positives keep 10 of 98; 50 keep all; none keeps all; unknown ones
    # are no negatives: 2 positives keep 10 of 20.
    part = kept_fraction(array(2, 50, 0, 2), array(98, 50, 100, 20), 5.0)
    np.testing.assert_allclose(part, [10 / 98, 1, 1, 0.5], rtol=1e-6)


def test_kept_negatives_are_an_arc_of_the_circle():
    kept = kept_negatives(
        array(0, 0.25, 0.5, 0.75), array(0.0, 0.5), array(0.5, 0.25)
    )
    expected = [[1, 0], [1, 0], [0, 1], [0, 0]]
    np.testing.assert_array_equal(kept, np.array(expected, bool))


def test_kept_negatives_are_distributed_as_promised():
    # 64 images, 3 positives of each class: 15 of 61 negatives, in the mean.
    rng = np.random.default_rng(0)
    fraction = np.full(200, 15 / 61, np.float32)
    kept = np.empty((300, 64, 200), bool)
    for round_ in kept:
        places = rng.permutation(64).astype(np.float32) / 64
        shifts = rng.random(200, np.float32)
        round_[:] = kept_negatives(places, shifts, fraction)
    arcs = kept.sum(axis=1)
    assert set(np.unique(arcs)) == {15, 16}
    counts = kept[:, 3:].sum(axis=1)
    # Deviations of the means; independent draws would vary by 3.4.
    assert counts.mean() == pytest.approx(15, abs=0.03)
    assert counts.std() < 1.6
    by_image = kept.mean(axis=(0, 2))
    assert abs(by_image - 15 / 61).max() < 0.03


def test_all_are_kept_at_a_fraction_of_one():
    places = np.arange(7, dtype=np.float32) / 7
    shifts = np.linspace(0, 0.99999994, 9, dtype=np.float32)
    assert np.asarray(kept_negatives(places, shifts, np.ones(9))).all()
