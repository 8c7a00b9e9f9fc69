import numpy as np
import pytest
from scipy.special import expit

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from model.scores.back_off import Level
from model.scores.fit_calibration import (
    check_calibration_split,
    fit_calibration,
    fit_platt,
)
from model.scores.reliability import class_errors, class_losses
from model.scores.score_histogram import ScoreHistogram, centres


def drawn(slope, offset, images=200_000, seed=0):
    """Counts whose true probability is sigmoid(slope x logit + offset)."""
    random = np.random.default_rng(seed)
    middles = centres(64)
    bins = random.binomial(63, 0.45, images)
    truth = expit(slope * middles[bins] + offset)
    positive = random.random(images) < truth

    def count(chosen):
        return np.bincount(bins[chosen], minlength=64)[None]

    return count(positive), count(~positive), middles


def test_two_bins_by_hand():
    # 1 in 10 at logit -1, 9 in 10 at 1: log(9) x logit.
    found = fit_platt(
        np.array([[1e7, 9e7]]), np.array([[9e7, 1e7]]), np.array([-1.0, 1.0])
    )
    np.testing.assert_allclose(found, [[np.log(9), 0.0]], atol=1e-5)


def test_an_exact_shift():
    # Odds are 1/12 of what the scores say, at every score.
    logits = np.array([-1.0, 0.0, 1.0])
    truth = expit(logits - np.log(12))
    found = fit_platt(1e8 * truth[None], 1e8 * (1 - truth[None]), logits)
    np.testing.assert_allclose(found, [[1.0, -np.log(12)]], atol=1e-5)


@pytest.mark.parametrize(("slope", "offset"), [(1, -2), (0.5, 0), (2.5, 1)])
def test_recovers_what_was_drawn(slope, offset):
    found = fit_platt(*drawn(slope, offset))
    np.testing.assert_allclose(found, [[slope, offset]], atol=0.05)


def test_groups_do_not_touch_each_other():
    one, two = drawn(1, -2), drawn(0.5, 1, seed=1)
    both = fit_platt(
        np.concatenate([one[0], two[0]]),
        np.concatenate([one[1], two[1]]),
        one[2],
    )
    np.testing.assert_allclose(both[:1], fit_platt(*one), rtol=1e-5)
    np.testing.assert_allclose(both[1:], fit_platt(*two), rtol=1e-5)


def test_separable_scores_stay_finite():
    found = fit_platt(
        np.array([[0, 500]]), np.array([[500, 0]]), np.array([-3.0, 3.0])
    )
    assert np.isfinite(found).all()
    assert 1 < found[0, 0] < 5


def test_equal_scores_are_shifted_to_the_share():
    found = fit_platt(np.array([[10000]]), np.array([[30000]]), np.array([2.0]))
    np.testing.assert_allclose(found[0, 0], 1.0, atol=1e-3)
    assert expit(found[0] @ [2.0, 1.0]) == pytest.approx(0.25, abs=1e-3)


def histogram_of(classes, images=2000, seed=0):
    random = np.random.default_rng(seed)
    rates = np.array([rate for rate, _ in classes])
    shifts = np.array([shift for _, shift in classes])
    logits = random.normal(np.log(rates / (1 - rates)), 1, (images, len(rates)))
    positive = random.random(logits.shape) < expit(logits)
    histogram = ScoreHistogram(len(rates))
    histogram.add(positive, expit(logits + shifts))
    return histogram


def test_back_off():
    # Class 1 has support of its own; 2 and 3 have it together.
    tree = Hierarchy([(), (0,), (0,), (0,), ()])
    classes = [(0.5, 1.0), (0.2, 2.0), (0.02, 2.5), (0.03, 2.5), (0.001, 0)]
    histogram = histogram_of(classes)
    counts = histogram.positives.sum(axis=1)
    assert counts[1] >= 100 > max(counts[2], counts[3])
    assert counts[2] + counts[3] >= 100
    found = fit_calibration(histogram, tree)
    assert found.level[:4].tolist() == [
        *(Level.CLASS, Level.CLASS),
        *(Level.SUBTREE, Level.SUBTREE),
    ]
    assert found.origin[2] == 0
    assert found.support[2] == counts[2] + counts[3]
    np.testing.assert_allclose(found.values[1], [1, -2], atol=0.3)
    np.testing.assert_allclose(found.values[2], [1, -2.5], atol=0.6)
    np.testing.assert_array_equal(found.values[2], found.values[3])


def test_deterministic_and_monotone():
    classes = [(0.1, 2.0)] * 10
    tree = Hierarchy([()] * 10)
    one = fit_calibration(histogram_of(classes), tree)
    two = fit_calibration(histogram_of(classes), tree)
    np.testing.assert_array_equal(one.values, two.values)
    assert (one.values[:, 0] > 0).all()


def test_scores_turned_round_take_no_slope_of_their_own():
    random = np.random.default_rng(0)
    positive = random.random((1000, 2)) < 0.3
    sign = np.array([-1.0, 1.0])
    logits = sign * (2.0 * positive - 1) + random.normal(0, 0.5, (1000, 2))
    histogram = ScoreHistogram(2)
    histogram.add(positive, expit(logits))
    found = fit_calibration(histogram, Hierarchy([(), ()]))
    assert found.level[0] != Level.CLASS
    assert found.level[1] == Level.CLASS
    assert (found.values[:, 0] > 0).all()


def test_who_backs_off_is_never_worse_than_its_scores():
    # All scores are 0.5. Together 105 of 690: 0.15 is nearer to the first's
    # 60 of 600, and far from the second's 45 of 90, whose scores are true.
    histogram = ScoreHistogram(2)
    for class_, (positives, negatives) in enumerate([(60, 540), (45, 45)]):
        histogram.counts[1, class_, histogram.bins // 2] = positives
        histogram.counts[0, class_, histogram.bins // 2] = negatives
    found = fit_calibration(histogram, Hierarchy([(), ()]))
    assert found.level.tolist() == [Level.GLOBAL, Level.NONE]
    assert expit(found.values[0, 1]) == pytest.approx(105 / 690, abs=0.01)
    assert found.values[1].tolist() == [1.0, 0.0]
    assert (found.origin[1], found.support[1]) == (-1, 0)


def test_who_backs_off_is_no_worse_among_many():
    random = np.random.default_rng(0)
    classes = [(0.01, shift) for shift in random.normal(0.5, 1, 60)]
    histogram = histogram_of(classes)
    tree = Hierarchy([(c // 3 - 1,) if c > 2 else () for c in range(60)])
    found = fit_calibration(histogram, tree)
    off = found.level != Level.CLASS
    assert off.sum() > 50
    assert 0 < found.counts()["none"] < 50
    counts = histogram.positives, histogram.negatives()
    raw = np.tile([1.0, 0.0], (60, 1))
    for measure in (class_errors, class_losses):
        before, after = (measure(*counts, v) for v in (raw, found.values))
        assert (after <= before)[off].all()
        assert (after < before)[found.level == Level.SUBTREE].all()


def test_known_labels_alone():
    # 200 positives and 200 verified absent at one score, 1,600 unknown.
    labels = np.repeat([1, 0, -1], [200, 200, 1600])[:, None]
    histogram = ScoreHistogram(1)
    histogram.add(labels, np.full((2000, 1), 0.5))
    tree = Hierarchy([()])
    all_labels = fit_calibration(histogram, tree).values[0]
    known = fit_calibration(histogram, tree, known_only=True).values[0]
    assert expit(all_labels[1]) == pytest.approx(0.1, abs=0.01)
    assert expit(known[1]) == pytest.approx(0.5, abs=0.01)


def test_no_data_set(tmp_path):
    with pytest.raises(InputError, match="is no data set"):
        check_calibration_split(tmp_path)
