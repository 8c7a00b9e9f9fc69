import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from model.scores.back_off import Level
from model.scores.fit_thresholds import best_thresholds, fit_thresholds
from model.scores.score_histogram import ScoreHistogram

EDGES = np.array([-2.0, -1.0, 0.0, 1.0])
POSITIVES = np.array([[10, 10, 40, 40]])
NEGATIVES = np.array([[900, 90, 40, 0]])


def test_most_f1_by_hand():
    # From above: 40 of 40, 80 of 120, 90 of 220, 100 of 1130.
    # F1: 80/140, 160/220, 180/320, 200/1230.
    found = best_thresholds(POSITIVES, NEGATIVES, EDGES)
    np.testing.assert_allclose(found, [[0.5, 80 / 120, 0.8]])


def test_a_wished_precision():
    found = best_thresholds(POSITIVES, NEGATIVES, EDGES, precision=0.9)
    sigmoid_1 = 1 / (1 + np.exp(-1))
    np.testing.assert_allclose(found, [[sigmoid_1, 1.0, 0.4]])
    # Exactly reached counts; more recall wins.
    found = best_thresholds(POSITIVES, NEGATIVES, EDGES, precision=2 / 3)
    np.testing.assert_allclose(found, [[0.5, 2 / 3, 0.8]])


def test_a_precision_out_of_reach():
    found = best_thresholds(POSITIVES, 9 * POSITIVES, EDGES, precision=0.2)
    assert found[0, 0] == np.inf
    assert found[0, 2] == 0.0


def test_a_handful_of_tags_proves_no_precision():
    positives, negatives = np.array([[20, 9]]), np.array([[80, 0]])
    found = best_thresholds(positives, negatives, EDGES[2:], precision=0.9)
    assert found[0, 0] == np.inf
    found = best_thresholds(
        positives + [0, 1], negatives, EDGES[2:], precision=0.9
    )
    assert found[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_equally_good_ones_take_the_higher():
    # Nothing lies between: both cuts choose the same.
    found = best_thresholds(np.array([[0, 0, 0, 5]]), np.zeros((1, 4)), EDGES)
    assert found[0, 0] == pytest.approx(1 / (1 + np.exp(-1)))


def histogram():
    """60 positives at 0.8 among 80, 20 at 0.4 among 100; 30 at 0.6; rest 0."""
    columns = [(60, 0.8, 20), (20, 0.4, 80), (30, 0.6, 5)]
    result = ScoreHistogram(3)
    for place, (positives, score, negatives) in enumerate(columns):
        labels = np.full((200, 3), -1)
        scores = np.full((200, 3), 0.01)
        labels[:positives, place] = 1
        scores[: positives + negatives, place] = score
        result.add(labels, scores)
    return result


def test_back_off():
    tree = Hierarchy([(), (), (1,)])
    found = fit_thresholds(histogram(), tree, np.tile([1.0, 0.0], (3, 1)))
    assert found.level.tolist() == [Level.CLASS, Level.SUBTREE, Level.SUBTREE]
    assert found.origin.tolist() == [0, 1, 1]
    assert found.support.tolist() == [60, 50, 50]
    # One bin is 0.016 of a logit.
    np.testing.assert_allclose(found.values[:, 0], [0.8, 0.6, 0.6], atol=0.004)
    # Together: 30 of 35 at 0.6, 50 of 135 at 0.4.
    np.testing.assert_allclose(found.values[1, 1:], [30 / 35, 30 / 50])


def test_thresholds_are_calibrated_probabilities():
    calibration = np.tile([1.0, -np.log(12)], (3, 1))
    found = fit_thresholds(histogram(), Hierarchy([()] * 3), calibration)
    # Odds of 4 become 4 / 12.
    assert found.values[0, 0] == pytest.approx(0.25, abs=0.004)


@pytest.mark.parametrize("bad", [0.0, -1.0, 1.5])
def test_refuses(bad):
    with pytest.raises(InputError, match=f"received: {bad}"):
        fit_thresholds(
            histogram(), Hierarchy([()] * 3), np.ones((3, 2)), precision=bad
        )
