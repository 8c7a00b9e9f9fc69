import numpy as np
import pytest

from model.scores.reliability import measure
from model.scores.score_histogram import ScoreHistogram


def histogram(score, positives, images, classes=1):
    result = ScoreHistogram(classes)
    labels = np.full((images, classes), -1)
    labels[:positives] = 1
    result.add(labels, np.full((images, classes), score))
    return result


def test_by_hand():
    # 0.8 is said of 100 images, 50 have the class.
    found = measure(histogram(0.8, 50, 100))
    assert found.expected_calibration_error == pytest.approx(0.3, abs=2e-3)
    assert found.per_class_error == pytest.approx(0.3, abs=2e-3)
    assert found.labels_expected == pytest.approx(0.8, abs=2e-3)
    assert found.labels_observed == 0.5
    np.testing.assert_allclose(found.observed, [0.5])
    np.testing.assert_array_equal(found.pairs, [100])


def test_a_shift_cures_it():
    shift = np.array([[1.0, -np.log(4)]])
    found = measure(histogram(0.8, 50, 100), shift)
    assert found.expected_calibration_error < 2e-3
    assert found.probability[0] == pytest.approx(0.5, abs=2e-3)


def test_errors_of_classes_do_not_cancel():
    # Both say 0.5; one is always right, one never: right on the whole.
    result = ScoreHistogram(2)
    labels = np.tile([1, 1], (100, 1))
    labels[20:, 0] = 0
    labels[80:, 1] = 0
    result.add(labels, np.full((100, 2), 0.5))
    found = measure(result)
    assert found.expected_calibration_error < 5e-3
    assert found.per_class_error == pytest.approx(0.3, abs=5e-3)


def test_unknown_labels():
    result = ScoreHistogram(1)
    labels = np.repeat([1, 0, -1], [10, 10, 80])[:, None]
    result.add(labels, np.full((100, 1), 0.5))
    assert measure(result).labels_observed == 0.1
    known = measure(result, known_only=True)
    assert known.expected_calibration_error < 5e-3


def test_json_is_plain():
    content = measure(histogram(0.8, 50, 100)).to_json()
    assert content["diagram"]["pairs"] == [100]
    assert content["labels_observed"] == 0.5
