import numpy as np
import pytest
from scipy import stats

from serving.drift.change_tests import (
    alarm_levels,
    compare_histograms,
    compare_shares,
    stability_index,
)


def test_two_proportions_by_hand():
    # 100 of 1000 and 150 of 1000: q = 0.125, and 0.05 less 0.001 over
    # sqrt(0.125 x 0.875 x 0.002).
    found, tested = compare_shares(np.array([100]), 1000, np.array([150]), 1000)
    assert tested.all()
    z = 0.049 / np.sqrt(0.125 * 0.875 * 0.002)
    assert found.statistic == pytest.approx([z])
    assert found.p == pytest.approx([2 * stats.norm.sf(z)])
    # The same as of the 2 x 2 table with Yates' correction.
    table = stats.chi2_contingency([[100, 900], [150, 850]], correction=True)
    assert found.p == pytest.approx([table.pvalue])


def test_the_sign_and_no_change():
    found, _ = compare_shares(
        np.array([150, 100]), 1000, np.array([100, 100]), 1000
    )
    assert found.statistic[0] < 0
    assert found.statistic[1] == 0 and found.p[1] == 1


@pytest.mark.parametrize(
    ("before", "now", "enough"),
    # 5 expected in the smaller sample of 100.
    [(5, 50, True), (4, 50, False), (100, 1000, False), (0, 60, True)],
)
def test_too_few_are_not_tested(before, now, enough):
    found, tested = compare_shares(
        np.array([before]), 100, np.array([now]), 1000
    )
    assert tested.tolist() == [enough]
    assert np.isfinite([found.statistic, found.p, found.psi]).all()
    if not enough:
        assert (found.statistic, found.p) == (0, 1)


def test_the_stability_index_by_hand():
    # Shares 0.5, 0.5 and 0.25, 0.75, but for the half images.
    found = stability_index(
        np.array([50_000, 50_000]), np.array([25_000, 75_000])
    )
    by_hand = -0.25 * np.log(0.5) + 0.25 * np.log(1.5)
    assert found == pytest.approx(by_hand, rel=1e-4)
    assert stability_index(np.array([0, 3]), np.array([0, 3])) == 0


def test_histograms_by_hand():
    found = compare_histograms(np.array([30, 70]), np.array([50, 50]))
    # Of each 40 and 60 are expected: 4 x 100 / 40 and 60, twice.
    assert found.statistic == pytest.approx(2 * (100 / 40 + 100 / 60))
    assert found.p == pytest.approx(stats.chi2.sf(found.statistic, df=1))


def test_sparse_bins_are_put_together():
    # 3 and 2, 1 and 1: only with the next ones there are 5 in each.
    before, now = np.array([3, 2, 90, 1, 1]), np.array([2, 3, 90, 1, 1])
    merged = compare_histograms(np.array([5, 92]), np.array([5, 92]))
    found = compare_histograms(before, now)
    assert found.statistic == pytest.approx(merged.statistic)


@pytest.mark.parametrize("counts", [[0, 0, 0], [9, 0, 0], [2, 1, 1]])
def test_too_few_values(counts):
    assert compare_histograms(np.array(counts), np.array([9, 0, 0])) is None


def test_levels_by_hand():
    # p x tests / rank, and no less than that of a smaller p.
    found = alarm_levels(np.array([0.04, 0.01, 0.03, 0.5]))
    assert found == pytest.approx([0.16 / 3, 0.04, 0.16 / 3, 0.5])
    assert not len(alarm_levels(np.array([])))


def test_one_false_alarm_in_100_at_most():
    """Of 1,000 pairs of samples of the same 300 classes."""
    rng = np.random.default_rng(1)
    shares = rng.beta(0.5, 8, 300)
    alarms = 0
    for _ in range(1000):
        before, now = rng.binomial(5000, shares), rng.binomial(2000, shares)
        found, tested = compare_shares(before, 5000, now, 2000)
        alarms += alarm_levels(found.p[tested]).min() <= 0.01
    assert alarms <= 16  # 10 are expected at most; 16 has 3 % then
