import numpy as np
import pytest

from model.evaluation.baselines import AtK
from model.evaluation.ranking import (
    HitCounts,
    HitsBesideBaseline,
    best_classes,
    best_of_both,
)

SCORES = np.array([[0.1, 0.9, 0.5, 0.9, 0.7]], np.float32)


def test_best_classes():
    everything = np.arange(5)
    best = best_classes(SCORES, 3, everything)
    # 1 and 3 are equal: the lower index first.
    assert best.tolist() == [[1, 3, 4]]
    assert best_classes(SCORES, 9, np.array([0, 2])).tolist() == [[2, 0]]


def test_best_of_both_equals_all_at_once():
    random = np.random.default_rng(2)
    # Few values: many ties.
    scores = random.integers(0, 6, (40, 30)).astype(np.float32)
    even, odd = np.arange(0, 30, 2), np.arange(1, 30, 2)
    found = best_of_both(
        scores,
        7,
        best_classes(scores, 7, even),
        best_classes(scores, 7, odd),
    )
    expected = best_classes(scores, 7, np.arange(30))
    np.testing.assert_array_equal(found, expected)


def test_hit_counts():
    counts = HitCounts((1, 2))
    hits = np.array([[True, False], [True, True], [False, False]])
    counts.add(hits[:1], np.array([1]))
    counts.add(hits[1:], np.array([4, 0]))
    assert (counts.images, counts.labels) == (3, 5)
    # P 1/2, 1, 0; R 1, 2/4, 0; F1 2/3, 4/6, 0.
    found = counts.at(2)
    assert found.precision == pytest.approx(0.5)
    assert found.recall == pytest.approx(0.5)
    assert found.f1 == pytest.approx((2 / 3 + 4 / 6) / 3)
    assert counts.ceiling(2).precision == pytest.approx((1 / 2 + 1) / 3)
    assert counts.ceiling(1).recall == pytest.approx((1 + 1 / 4) / 3)
    assert counts.recall(2) == 3 / 5
    assert counts.most_recall(2) == 3 / 5
    assert counts.most_recall(1) == 2 / 5


def test_nothing_counted():
    counts = HitCounts((5,))
    assert counts.at(5) == AtK(0.0, 0.0, 0.0)
    assert counts.recall(5) == counts.most_recall(5) == 0.0


def test_fewer_classes_than_k_still_divide_by_k():
    counts = HitCounts((5,))
    counts.add(np.array([[True, True]]), np.array([2]))
    assert counts.at(5).precision == pytest.approx(0.4)


def test_beside_the_baseline():
    counts = HitsBesideBaseline((1,), np.array([0, 2]))
    positive = np.array([[False, True, False], [True, False, False]])
    counts.add(positive, np.array([[1], [1]]), positive.sum(axis=1))
    assert counts.model.at(1).precision == 0.5
    assert counts.baseline.at(1).precision == 0.5
