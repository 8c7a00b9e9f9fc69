"""The highest of a class and those below it, by pairs."""

from __future__ import annotations

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from serving.formats.closure import highest_below, plan


def random_hierarchy(classes: int, seed: int) -> Hierarchy:
    """Returns one with several roots, and classes of several parents."""
    rng = np.random.default_rng(seed)
    return Hierarchy(
        rng.choice(i, rng.integers(0, min(i, 3) + 1), replace=False).tolist()
        if i
        else ()
        for i in range(classes)
    )


@pytest.mark.parametrize(
    "hierarchy",
    [
        Hierarchy([()]),
        Hierarchy([(), ()]),
        Hierarchy([(), (0,), (1,), (1,), (2, 3)]),
        *(random_hierarchy(classes, classes) for classes in (17, 100, 333)),
    ],
    ids=len,
)
def test_all_below_count(hierarchy):
    values = np.random.default_rng(1).random((3, len(hierarchy)), np.float32)
    expected = [
        values[:, [i, *hierarchy.descendants(i)]].max(axis=1)
        for i in range(len(hierarchy))
    ]
    found = highest_below(values, plan(hierarchy)).numpy()
    np.testing.assert_array_equal(found, np.stack(expected, axis=1))


def test_little_is_compared():
    # A chain and a fan: the longest list there is, and many short ones.
    classes = 2000
    made = plan(Hierarchy([(), *((0,),) * (classes - 1)]))
    assert len(made.rounds) == 11
    assert sum(len(r.left) for r in made.rounds) < 2 * classes
