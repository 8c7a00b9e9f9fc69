import numpy as np
import pytest
from scipy import sparse

from beam_jobs.classes.hierarchy import Hierarchy
from model.scores.back_off import Level, fit_with_back_off, pooled

# 0 root -> 1 animal -> 2 dog, 3 cat; 0 -> 4 plant -> 5 rose, 6 oak; 7 alone.
TREE = Hierarchy([(), (0,), (1,), (1,), (0,), (4,), (4,), ()])
POSITIVES = np.array([400, 300, 99, 100, 90, 60, 30, 5])


def sums(members):
    """Fits nothing: the value is the number of pooled positives."""
    return members @ POSITIVES[:, None].astype(float), np.ones(
        members.shape[0], bool
    )


def test_level_and_support():
    found = fit_with_back_off(POSITIVES, TREE, 100, sums, (0.0,))
    own, above, everything = Level.CLASS, Level.SUBTREE, Level.GLOBAL
    # Cat has exactly enough, dog one too few.
    assert found.level.tolist() == [
        *(own, own, above, own),
        *(above, above, above, everything),
    ]
    # Dog shares the root's subtree with the plants: 99 + 90 + 60 + 30.
    assert (found.origin[2], found.support[2]) == (0, 279)
    # Rose takes the plants': 90 + 60 + 30, not the bigger root's.
    assert (found.origin[5], found.support[5]) == (4, 180)
    assert found.values[3].tolist() == [100.0]
    assert found.origin[3] == 3


def test_the_rest_is_pooled_when_it_is_enough():
    positives = np.array([60, 60, 0])
    tree = Hierarchy([(), (), ()])

    def fit(members):
        values = members @ positives[:, None].astype(float)
        return values, np.ones(len(values), bool)

    found = fit_with_back_off(positives, tree, 100, fit, (0.0,))
    assert found.level.tolist() == [Level.GLOBAL] * 3
    assert found.support.tolist() == [120] * 3
    assert found.origin.tolist() == [-1] * 3


def test_a_rest_too_small_takes_all_classes():
    found = fit_with_back_off(POSITIVES, TREE, 100, sums, (0.0,))
    # Class 7 has 5 and no relatives: all classes together.
    assert found.level[7] == Level.GLOBAL
    assert found.support[7] == POSITIVES.sum()


def test_who_is_not_suited_takes_the_next_level():
    def suits(classes, values):
        # Rose, 5, refuses the plants' sum, and oak, 6, all sums.
        return (classes != 6) & ~((classes == 5) & (values[0] == 180))

    found = fit_with_back_off(POSITIVES, TREE, 100, sums, (0.5,), suits)
    # 99 + 90 + 60 + 30 below the root.
    assert (found.level[5], found.values[5, 0]) == (Level.SUBTREE, 279.0)
    assert (found.level[6], found.values[6, 0]) == (Level.NONE, 0.5)
    assert (found.level[4], found.values[4, 0]) == (Level.SUBTREE, 180.0)


def test_nothing_to_fit():
    found = fit_with_back_off(POSITIVES, TREE, 9999, sums, (0.5,))
    assert found.counts() == {"class": 0, "subtree": 0, "global": 0, "none": 8}
    assert found.values[:, 0].tolist() == [0.5] * 8


def test_a_bad_fit_takes_the_next_level():
    def fit(members):
        sizes = np.asarray(members.sum(axis=1)).reshape(-1)
        return np.ones((len(sizes), 1)), sizes > 1

    found = fit_with_back_off(POSITIVES, TREE, 100, fit, (0.0,))
    assert (found.level != Level.CLASS).all()
    # Cat: the animals together, none of them good alone.
    assert (found.level[3], found.origin[3]) == (Level.SUBTREE, 1)
    assert found.support[3] == 300 + 99 + 100


def test_several_parents():
    # 2 lies below 0 and below 1; 1's subtree is smaller.
    tree = Hierarchy([(), (), (0, 1), (0,)])
    positives = np.array([50, 50, 60, 0])

    def fit(members):
        return np.zeros((members.shape[0], 1)), np.ones(members.shape[0], bool)

    found = fit_with_back_off(positives, tree, 100, fit, (0.0,))
    assert (found.origin[2], found.support[2]) == (1, 110)


@pytest.mark.parametrize("shift", [0.0, 8.1])
def test_pooled(shift):
    counts = np.array([[1, 2, 0, 0], [0, 5, 0, 0], [9, 9, 9, 9]])
    members = sparse.csr_matrix(np.array([[True, True, False]]))
    moves = np.full(3, shift)
    found = pooled(counts, members, np.ones(3), moves)
    expected = [1, 7, 0, 0] if shift == 0 else [0, 1, 7, 0]
    np.testing.assert_array_equal(found, [expected])
