"""A window of requests against a reference: what has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from serving.drift.change_tests import (
    alarm_levels,
    compare_histograms,
    compare_shares,
)
from serving.drift.options import DriftOptions
from serving.traffic.tallies import EDGES, Tally

CLASS, SUBTREE, FIGURE = "class", "subtree", "figure"
INVALID = "invalid images"


@dataclass(frozen=True)
class Change:
    """One comparison.

    Attributes:
        kind: `CLASS`, of its tags, `SUBTREE`, of the tags in it, or `FIGURE`.
        name: of the class, or of the figure.
        wnid: of the class; "" for a figure.
        before, now: shares of the images; medians of a figure.
        statistic: z, or chi-square for a figure's histogram.
        p: of it; 1 where there are too few images.
        adjusted: p for all tests together.
        psi: how large the change is.
        tested: whether there were enough images.
        is_alarm: it is surely no chance, and large enough.
    """

    kind: str
    name: str
    wnid: str
    before: float
    now: float
    statistic: float
    p: float
    psi: float
    adjusted: float = 1.0
    tested: bool = True
    is_alarm: bool = False


@dataclass(frozen=True)
class Comparison:
    """All changes, the surest first."""

    changes: tuple[Change, ...]

    @property
    def alarms(self) -> tuple[Change, ...]:
        """Those that give an alarm."""
        return tuple(c for c in self.changes if c.is_alarm)

    @property
    def tests(self) -> int:
        """How many there were."""
        return sum(c.tested for c in self.changes)


def compare(
    reference: Tally,
    window: Tally,
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
    options: DriftOptions | None = None,
) -> Comparison:
    """Compares a window with a reference, of the same model.

    Images count one by one: where a client sends many of one scene, alarms
    are more often false than `alpha` says.

    Raises:
        InputError: one of them has too few images.
    """
    options = options or DriftOptions()
    for name, tally in (("window", window), ("reference", reference)):
        if tally.valid < options.least_images:
            raise InputError(
                f"the {name} has {tally.valid} answered images; drift needs "
                f"{options.least_images} (--least-images)"
            )
    found = [
        *_shares(CLASS, reference, window, vocabulary),
        *_shares(SUBTREE, reference, window, vocabulary, ~hierarchy.is_leaf),
        *_figures(reference, window),
    ]
    return Comparison(tuple(_judged(found, options)))


def _shares(
    kind: str,
    reference: Tally,
    window: Tally,
    vocabulary: Vocabulary,
    which: np.ndarray | None = None,
) -> Iterator[Change]:
    before, now = (
        tally.tags if kind == CLASS else tally.subtrees
        for tally in (reference, window)
    )
    sizes = reference.valid, window.valid
    result, tested = compare_shares(before, sizes[0], now, sizes[1])
    for tag_class in vocabulary:
        i = tag_class.index
        if which is None or which[i]:
            yield Change(
                kind,
                tag_class.display_name,
                tag_class.wnid,
                before=before[i] / sizes[0],
                now=now[i] / sizes[1],
                statistic=float(result.statistic[i]),
                p=float(result.p[i]),
                psi=float(result.psi[i]),
                tested=bool(tested[i]),
            )


def _figures(reference: Tally, window: Tally) -> Iterator[Change]:
    yield _invalid(reference, window)
    for name, edges in EDGES.items():
        before, now = (t.histograms[name] for t in (reference, window))
        result = compare_histograms(before, now)
        yield Change(
            FIGURE,
            name.replace("_", " "),
            "",
            before=median(before, edges),
            now=median(now, edges),
            statistic=float(result.statistic) if result else 0.0,
            p=float(result.p) if result else 1.0,
            psi=float(result.psi) if result else 0.0,
            tested=result is not None,
        )


def _invalid(reference: Tally, window: Tally) -> Change:
    counts = [np.array([t.invalid]) for t in (reference, window)]
    sizes = reference.images, window.images
    result, tested = compare_shares(counts[0], sizes[0], counts[1], sizes[1])
    return Change(
        FIGURE,
        INVALID,
        "",
        before=reference.invalid / sizes[0],
        now=window.invalid / sizes[1],
        statistic=float(result.statistic[0]),
        p=float(result.p[0]),
        psi=float(result.psi[0]),
        tested=bool(tested[0]),
    )


def median(counts: np.ndarray, edges: np.ndarray) -> float:
    """Returns the median of a histogram, within its bin by a line.

    Args:
        counts: [bins].
        edges: the least value of each bin but the first, [bins - 1].

    Returns:
        NaN for an empty histogram; the first or last edge beyond them.
    """
    total = np.concatenate([[0], np.cumsum(counts)])
    if not total[-1]:
        return float("nan")
    bounds = np.concatenate([[edges[0]], edges, [edges[-1]]])
    return float(np.interp(total[-1] / 2, total, bounds))


def _judged(found: list[Change], options: DriftOptions) -> list[Change]:
    tested = [c for c in found if c.tested]
    levels = alarm_levels(np.array([c.p for c in tested]))
    judged = [
        replace(
            change,
            adjusted=float(level),
            is_alarm=bool(level <= options.alpha)
            and change.psi >= options.least_psi,
        )
        for change, level in zip(tested, levels, strict=True)
    ]
    # By size where p is too small for a float, then as they came.
    judged.sort(key=lambda c: (c.p, -c.psi))
    return judged + [c for c in found if not c.tested]
