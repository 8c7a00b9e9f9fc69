"""Has a share, or a histogram, changed by more than chance?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

# Cochran's rule: a normal or chi-square distribution fits from there on.
LEAST_EXPECTED = 5


class Tested(NamedTuple):
    """What a test found of one or several changes.

    Attributes:
        statistic: z, or chi-square.
        p: how probable at least such a change is without a cause.
        psi: population stability index, how large it is.
    """

    statistic: np.ndarray
    p: np.ndarray
    psi: np.ndarray


def compare_shares(
    before: np.ndarray, of_before: int, now: np.ndarray, of_now: int
) -> tuple[Tested, np.ndarray]:
    """Returns the two-proportion z tests of many classes.

    z = max(|b - a| - (1/m + 1/n) / 2, 0) / sqrt(q (1 - q) (1/m + 1/n)), with
    the sign of b - a, of shares a = x/m and b = y/n and q = (x + y) / (m + n):
    the pooled test with Yates' correction for continuity
    (https://en.wikipedia.org/wiki/Two-proportion_Z-test).

    Args:
        before, now: counts [classes].
        of_before, of_now: of so many images, 1 or more.

    Returns:
        float64 [classes] each; and bool [classes], where there are enough for
        a test: both samples expect 5 with and 5 without the class. p is 1
        elsewhere.
    """
    one_each = 1 / of_before + 1 / of_now
    a, b = before / of_before, now / of_now
    pooled = (before + now) / (of_before + of_now)
    enough = np.minimum(pooled, 1 - pooled) * min(of_before, of_now)
    tested = enough >= LEAST_EXPECTED
    spread = np.sqrt(np.where(tested, pooled * (1 - pooled), 1) * one_each)
    z = np.maximum(np.abs(b - a) - one_each / 2, 0) / spread
    z = np.where(tested, np.copysign(z, b - a), 0.0)
    p = np.where(tested, 2 * stats.norm.sf(np.abs(z)), 1.0)
    both = np.stack([before, of_before - before, now, of_now - now])
    return Tested(z, p, stability_index(both[:2], both[2:])), tested


def compare_histograms(before: np.ndarray, now: np.ndarray) -> Tested | None:
    """Returns the chi-square test of two histograms; None for too few values.

    Neighbouring bins are put together until both samples expect 5 in each.

    Args:
        before, now: counts [bins].
    """
    table = _merge(np.stack([before, now]))
    if table.shape[1] < 2:
        return None
    found = stats.chi2_contingency(table, correction=False)
    index = stability_index(table[0][:, None], table[1][:, None])[0]
    return Tested(found.statistic, found.pvalue, index)


def stability_index(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Returns the population stability index: sum of (b - a) ln(b / a).

    That is the symmetric Kullback-Leibler divergence. A count of half an
    image is added to each bin, so that none is empty.

    Args:
        before, now: counts [bins, ...].

    Returns:
        float64 [...]; 0 for the same shares.
    """
    a, b = (
        (counts + 0.5) / (counts + 0.5).sum(axis=0) for counts in (before, now)
    )
    return np.sum((b - a) * np.log(b / a), axis=0)


def alarm_levels(p: np.ndarray) -> np.ndarray:
    """Returns p adjusted for so many tests, by Benjamini and Hochberg.

    Where nothing has changed, one of them is at most alpha with a
    probability of alpha; of those that are, a share of alpha is wrong
    (https://doi.org/10.1111/j.2517-6161.1995.tb02031.x).

    Args:
        p: [tests].
    """
    return stats.false_discovery_control(p) if len(p) else p


def _merge(table: np.ndarray) -> np.ndarray:
    """Returns [2, bins] with `LEAST_EXPECTED` in each, fewer bins at most."""
    sizes = table.sum(axis=1)
    if not sizes.all():
        return table[:, :0]
    needed = LEAST_EXPECTED * sizes.sum() / sizes.min()
    kept: list[np.ndarray] = []
    waiting = np.zeros(2, table.dtype)
    for column in table.T:
        waiting = waiting + column
        if waiting.sum() >= needed:
            kept.append(waiting)
            waiting = np.zeros(2, table.dtype)
    if kept:
        kept[-1] = kept[-1] + waiting
    return np.array(kept).T if kept else table[:, :0]
