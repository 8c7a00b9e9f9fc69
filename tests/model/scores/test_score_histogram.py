import numpy as np
import pytest

from model.scores.score_histogram import (
    LARGEST_LOGIT,
    ScoreHistogram,
    average_precision,
    bins_of,
    centres,
    logits_of,
    lower_edges,
    moved,
)


def exact_average_precision(positive, scores):
    ranked = positive[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return precision[ranked].mean()


def test_counts_by_label():
    histogram = ScoreHistogram(2, bins=2)
    labels = np.array([[1, 0], [-1, 1], [0, -1]])
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.6]])
    histogram.add(labels, scores)
    np.testing.assert_array_equal(histogram.positives, [[0, 1], [0, 1]])
    np.testing.assert_array_equal(histogram.negatives(), [[1, 1], [1, 1]])
    np.testing.assert_array_equal(
        histogram.negatives(known_only=True), [[0, 1], [1, 0]]
    )


def test_batches_do_not_matter():
    random = np.random.default_rng(1)
    labels = random.integers(-1, 2, (50, 7))
    scores = random.random((50, 7))
    whole, parts = ScoreHistogram(7), ScoreHistogram(7)
    whole.add(labels, scores)
    for start in range(0, 50, 9):
        parts.add(labels[start : start + 9], scores[start : start + 9])
    np.testing.assert_array_equal(whole.counts, parts.counts)
    assert whole.counts.sum() == 350


def test_logits_and_bins():
    np.testing.assert_allclose(
        logits_of([0.5, 0.9, 0.0, 1.0]),
        [0, np.log(9), -16.118, 15.94],
        rtol=1e-3,
    )
    assert bins_of(np.array([-99.0, 0.0, 99.0]), 4).tolist() == [0, 2, 3]
    np.testing.assert_allclose(lower_edges(4), [-16.2, -8.1, 0, 8.1])
    np.testing.assert_allclose(centres(2), [-8.1, 8.1])
    assert LARGEST_LOGIT == 16.2


def test_average_precision_by_hand():
    # Class 0, best first: hit, miss, hit -> (1 + 2/3) / 2. Class 1 none.
    positives = np.array([[1, 0, 1], [0, 0, 0]])
    negatives = np.array([[0, 1, 0], [1, 1, 1]])
    found, error = average_precision(positives, negatives)
    np.testing.assert_allclose(found, [5 / 6, 0])
    np.testing.assert_allclose(error, 0, atol=1e-12)


def test_error_of_ties():
    # One bin of a hit and a miss: 1/2 as a tie; 1 or 1/2 in order.
    found, error = average_precision(np.array([[1]]), np.array([[1]]))
    np.testing.assert_allclose(found, [0.5])
    np.testing.assert_allclose(error, [0.5])
    # Two hits and a miss: 2/3; (1 + 1) / 2 or (1/2 + 2/3) / 2.
    found, error = average_precision(np.array([[2]]), np.array([[1]]))
    np.testing.assert_allclose(found, [2 / 3])
    np.testing.assert_allclose(error, [1 / 3])


@pytest.mark.parametrize("bins", [64, 2048])
def test_the_exact_one_lies_within_the_error(bins):
    random = np.random.default_rng(3)
    positive = random.random((3000, 20)) < np.linspace(0.002, 0.3, 20)
    logits = random.normal(-4 + 2 * positive, 1.5)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    histogram = ScoreHistogram(20, bins)
    histogram.add(positive, scores)
    found, error = histogram.average_precision()
    exact = [
        exact_average_precision(positive[:, c], scores[:, c]) for c in range(20)
    ]
    assert (np.abs(found - exact) <= error + 1e-9).all()
    if bins == 2048:
        np.testing.assert_allclose(found.mean(), np.mean(exact), atol=2e-3)


def test_average_precision_of_known_labels():
    histogram = ScoreHistogram(1)
    labels = np.array([[1], [-1], [0]])
    histogram.add(labels, np.array([[0.5], [0.9], [0.1]]))
    assert histogram.average_precision()[0].tolist() == [0.5]
    assert histogram.average_precision(known_only=True)[0].tolist() == [1.0]


def test_moved():
    counts = np.array([[0, 3, 5, 0], [0, 3, 5, 0]])
    # Bins are 8.1 wide: one up; and three times as far from the middle.
    found = moved(counts, np.array([1.0, 3.0]), np.array([8.1, 0.0]))
    np.testing.assert_array_equal(found, [[0, 0, 3, 5], [3, 0, 0, 5]])
