"""Classes with too few examples take what their relatives have taught.

A class with enough positives is fitted by itself. The others are pooled: a
class takes the fit of the smallest subtree above it whose pooled classes
have enough positives together, else that of all pooled classes. A subtree
pools only classes that could not be fitted themselves, so that its common
classes do not speak for the rare ones.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from beam_jobs.classes.hierarchy import Hierarchy
from model.scores.score_histogram import blocks, moved

Fit = Callable[[sparse.csr_matrix], tuple[np.ndarray, np.ndarray]]
Suits = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Level(enum.IntEnum):
    """Where a class's values come from."""

    CLASS = 0
    SUBTREE = 1
    GLOBAL = 2
    NONE = 3


@dataclass(frozen=True)
class BackOff:
    """Values of every class, and where they come from.

    Attributes:
        values: float64 [classes, values].
        level: int8 [classes], codes of `Level`.
        origin: int32 [classes], the class fitted or the top of the subtree;
            -1 for none.
        support: int64 [classes], positives behind the fit.
    """

    values: np.ndarray
    level: np.ndarray
    origin: np.ndarray
    support: np.ndarray

    def counts(self) -> dict[str, int]:
        """Returns the number of classes by level."""
        found = np.bincount(self.level, minlength=len(Level)).tolist()
        return {level.name.lower(): found[level] for level in Level}


def fit_with_back_off(
    positives: np.ndarray,
    hierarchy: Hierarchy,
    least: int,
    fit: Fit,
    default: tuple[float, ...],
    suits: Suits | None = None,
) -> BackOff:
    """Fits each class by itself, in a subtree, or with all others.

    Args:
        positives: positive examples of every class [classes].
        least: positives that a fit needs.
        fit: takes bool [groups, classes], the classes that each group pools;
            returns values [groups, values], and bool [groups]: whether they
            are any good.
        default: the values where nothing can be fitted.
        suits: takes int64 [n], classes, and values [values] that were fitted
            to more than each of them; returns bool [n]: which may have them.
            The others take the next level's.
    """
    filled = _Filled(positives, default, suits)
    own = np.flatnonzero(positives >= least)
    identity = sparse.identity(len(positives), bool, "csr")
    filled.fill(Level.CLASS, own, identity[own], fit)
    tops, members = _subtrees(filled.missing(), positives, hierarchy, least)
    filled.fill(Level.SUBTREE, tops, members, fit)
    rest = filled.missing()
    # Too few are left: all classes together say more.
    if positives[rest].sum() < least:
        rest = np.ones_like(rest)
    if positives[rest].sum() >= least:
        filled.fill(Level.GLOBAL, [-1], sparse.csr_matrix(rest[None]), fit)
    return BackOff(filled.values, filled.level, filled.origin, filled.support)


def pooled(
    counts: np.ndarray,
    members: sparse.csr_matrix,
    slope: np.ndarray | None = None,
    offset: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the summed histograms of groups, float64 [groups, bins].

    Args:
        counts: [classes, bins].
        members: bool [groups, classes].
        slope, offset: of each class; moves its logits before they are summed.
    """
    total = np.zeros((members.shape[0], counts.shape[1]))
    used = np.unique(members.indices)
    # By columns: blocks of classes are cut out of it.
    columns = members.tocsc().astype(np.float64)
    for part in blocks(len(used)):
        rows = used[part]
        block = counts[rows].astype(np.float64)
        if slope is not None and offset is not None:
            block = moved(block, slope[rows], offset[rows])
        total += columns[:, rows] @ block
    return total


class _Filled:
    """Values that are filled in level by level."""

    def __init__(
        self,
        positives: np.ndarray,
        default: tuple[float, ...],
        suits: Suits | None,
    ):
        classes = len(positives)
        self.positives = positives
        self.suits = suits
        self.values = np.tile(np.asarray(default, np.float64), (classes, 1))
        self.level = np.full(classes, Level.NONE, np.int8)
        self.origin = np.full(classes, -1, np.int32)
        self.support = np.zeros(classes, np.int64)

    def missing(self) -> np.ndarray:
        """Returns bool [classes]: those without values."""
        return self.level == Level.NONE

    def fill(
        self,
        level: Level,
        origins: Sequence[int] | np.ndarray,
        members: sparse.csr_matrix,
        fit: Fit,
    ) -> None:
        """Fits groups, smallest first; a class keeps its first values."""
        for part in blocks(len(origins)):
            values, good = fit(members[part])
            for row in np.flatnonzero(good):
                group = members[part.start + row].indices
                new = group[self.level[group] == Level.NONE]
                if level != Level.CLASS and self.suits is not None:
                    new = new[self.suits(new, values[row])]
                self.values[new] = values[row]
                self.level[new] = level
                self.origin[new] = origins[part.start + row]
                self.support[new] = self.positives[group].sum()


def _subtrees(
    rest: np.ndarray, positives: np.ndarray, hierarchy: Hierarchy, least: int
) -> tuple[np.ndarray, sparse.csr_matrix]:
    """Returns the smallest subtrees that hold enough, smallest first.

    Returns:
        int64 [groups], their tops; bool [groups, classes], the classes of
        `rest` in them.
    """
    # Pairs of a class and itself or one above it, as two columns.
    chains = [(*hierarchy.ancestors(c), c) for c in range(len(hierarchy))]
    below = np.repeat(np.arange(len(chains)), [len(c) for c in chains])
    above = np.concatenate([np.asarray(c, np.int64) for c in chains])
    sizes = np.bincount(above, minlength=len(chains))
    mine = rest[below]
    below, above = below[mine], above[mine]
    held = np.bincount(above, positives[below], len(chains))
    enough = held[above] >= least
    below, above = below[enough], above[enough]
    # Each class's smallest: the first of its rows in this order.
    order = np.lexsort((above, sizes[above], below))
    _, first = np.unique(below[order], return_index=True)
    tops = np.unique(above[order][first])
    # By size and then number: `fill` keeps a class's first, smallest group.
    tops = tops[np.lexsort((tops, sizes[tops]))]
    ones = np.ones(len(below), bool)
    shape = (len(chains), len(chains))
    members = sparse.csr_matrix((ones, (above, below)), shape)
    return tops, members[tops]
