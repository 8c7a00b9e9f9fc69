"""No class lower than one below it, whatever the hierarchy."""

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from model.scores.coherent import bottom_up, coherent


def random_hierarchy(classes: int, seed: int) -> Hierarchy:
    """Returns one with several roots, and classes of several parents.

    Parents have higher indices as often as lower ones.
    """
    rng = np.random.default_rng(seed)
    names = rng.permutation(classes)
    parents: list[list[int]] = [[] for _ in range(classes)]
    for i in range(1, classes):
        chosen = rng.choice(i, rng.integers(0, min(i, 3) + 1), replace=False)
        parents[names[i]] = names[chosen].tolist()
    return Hierarchy(parents)


@pytest.mark.parametrize("classes", [1, 2, 17, 300])
def test_the_highest_of_all_below(classes):
    hierarchy = random_hierarchy(classes, seed=classes)
    scores = np.random.default_rng(1).normal(size=(5, classes))
    before = scores.copy()
    found = coherent(scores, bottom_up(hierarchy))
    expected = [
        scores[:, [c, *hierarchy.descendants(c)]].max(axis=1)
        for c in range(classes)
    ]
    np.testing.assert_array_equal(found, np.stack(expected, axis=1))
    # What is given stays as it is: others may hold it.
    np.testing.assert_array_equal(scores, before)


def test_edges_into_a_class_come_before_those_out_of_it():
    edges = bottom_up(random_hierarchy(200, seed=3)).tolist()
    for place, (child, _) in enumerate(edges):
        assert child not in {parent for _, parent in edges[place:]}


def test_without_edges_nothing_changes():
    scores = np.array([[0.1, 0.9]], np.float32)
    found = coherent(scores, bottom_up(Hierarchy([(), ()])))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, scores)
