import numpy as np
import pytest

from beam_jobs.errors import InputError
from serving.drift.compare import CLASS, FIGURE, SUBTREE, compare, median
from serving.drift.options import DriftOptions
from serving.traffic.tallies import Tally


@pytest.fixture
def tally_of(classes):
    def tally_of(rows):
        tally = Tally(*classes)
        for row in rows:
            tally.add(row)
        return tally

    return tally_of


def alarms(reference, window, classes, **options):
    options = DriftOptions(**options)
    found = compare(reference, window, *classes, options)
    return {(a.kind, a.wnid or a.name) for a in found.alarms}


def test_the_same_has_no_alarm(classes, tally_of, make_row):
    rows = [make_row(n % 4) for n in range(400)]
    found = compare(tally_of(rows), tally_of(rows), *classes)
    assert not found.alarms
    assert all(c.p == 1 for c in found.changes)
    # Subtrees of leaves are the leaves.
    kinds = [c.kind for c in found.changes]
    assert (kinds.count(CLASS), kinds.count(SUBTREE)) == (4, 2)


def test_a_subtree_that_doubled(classes, tally_of, make_row):
    reference = tally_of([make_row(3 if n < 80 else 1) for n in range(400)])
    window = tally_of([make_row(3 if n < 160 else 1) for n in range(400)])
    found = compare(reference, window, *classes)
    shares = {
        (a.kind, a.wnid): (a.before, a.now)
        for a in found.alarms
        if a.kind != FIGURE
    }
    assert shares == {
        (CLASS, "n00000004"): (0.2, 0.4),
        (CLASS, "n00000002"): (0.8, 0.6),
        (SUBTREE, "n00000003"): (0.2, 0.4),
    }
    # A floor for what counts takes them away.
    assert not alarms(reference, window, classes, least_psi=1.0)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"brightness": 180.0}, "brightness"),
        ({"contrast": 20.0}, "contrast"),
        ({"bytes": 200}, "bytes per pixel"),
        ({"scores": [0.6, 0.5, 0.4, 0.2]}, "best score"),
    ],
)
def test_a_figure_that_changed(classes, tally_of, make_row, change, name):
    reference = tally_of([make_row(0) for _ in range(300)])
    mixed = [make_row(0, **(change if n % 3 else {})) for n in range(300)]
    assert (FIGURE, name) in alarms(reference, tally_of(mixed), classes)


def test_images_that_cannot_be_decoded(classes, tally_of, make_row):
    good = [make_row(0)] * 300
    broken = tally_of(good + [make_row(valid=False)] * 60)
    found = alarms(tally_of(good), broken, classes)
    assert found == {(FIGURE, "invalid images")}


def test_too_few_images(classes, tally_of, make_row):
    few, many = tally_of([make_row(0)] * 9), tally_of([make_row(0)] * 300)
    with pytest.raises(InputError, match="the window has 9 answered.*200"):
        compare(many, few, *classes)
    with pytest.raises(InputError, match="the reference has 9 answered"):
        compare(few, many, *classes)


def test_the_median_of_a_histogram():
    edges = np.array([10.0, 20.0, 30.0])
    assert median(np.array([0, 4, 0, 0]), edges) == 15
    assert median(np.array([0, 1, 3, 0]), edges) == pytest.approx(20 + 10 / 3)
    assert median(np.array([5, 0, 0, 0]), edges) == 10
    assert np.isnan(median(np.zeros(4, int), edges))
