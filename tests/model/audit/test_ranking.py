import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source, ledger_codes
from model.audit import ranking
from model.audit.ranking import NoiseRanking, leaf_most

ANIMAL, DOG, CAT, STONE = range(4)
TREE = Hierarchy([(), (ANIMAL,), (ANIMAL,), ()])
GIVEN = ((ANIMAL, DOG), (ANIMAL, DOG), (ANIMAL, CAT), (STONE,))
SCORES = np.array(
    [
        [0.9, 0.8, 0.1, 0.0],
        [0.9, 0.2, 0.7, 0.1],
        [0.6, 0.1, 0.6, 0.0],
        [0.2, 0.0, 0.0, 0.5],
    ]
)


def labels_of(given, classes=4):
    labels = np.full((len(given), classes), -1, np.int8)
    for row, own in enumerate(given):
        labels[row, list(own)] = 1
    return labels


def ranked(given=GIVEN, scores=SCORES, per_class=10, batch=10, **more):
    found = NoiseRanking(TREE, per_class)
    for i in range(0, len(given), batch):
        part = {k: v[i : i + batch] for k, v in more.items()}
        rows = slice(i, i + batch)
        found.add(labels_of(given[rows]), scores[rows], **part)
    return found


def rows_of(findings):
    return [
        (image, label, round(float(score), 6))
        for image, label, score in zip(*findings, strict=True)
    ]


def test_thresholds_are_mean_scores_of_the_images_of_a_class():
    found = ranked().thresholds()
    assert found == pytest.approx([0.8, 0.5, 0.6, 0.5])
    nobody = ranked(GIVEN[:3], SCORES[:3]).thresholds()
    assert np.isnan(nobody[STONE])


def test_a_label_far_below_its_class_is_doubtful():
    # By hand: t = 0.8, 0.5, 0.6, 0.5; only the second dog is below its own.
    # ANIMAL is not leaf-most; what is equal to the threshold is no finding.
    assert rows_of(ranked().doubtful(10)) == [(1, DOG, 0.2)]


def test_what_is_over_its_threshold_and_not_given_is_missing():
    assert rows_of(ranked().missing(10)) == [(1, CAT, 0.7)]


def test_of_missing_labels_on_a_path_the_leaf_most_counts():
    scores = SCORES.copy()
    # A stone that looks as a dog does: its animal comes with the dog.
    scores[3] = [0.95, 0.9, 0.0, 0.5]
    assert rows_of(ranked(scores=scores).missing(10)) == [
        (3, DOG, 0.9),
        (1, CAT, 0.7),
    ]
    scores[3] = [0.95, 0.1, 0.0, 0.5]
    found = ranked(scores=scores).missing(10)
    assert rows_of(found)[0] == (3, ANIMAL, 0.95)


def test_the_most_striking_come_first():
    scores = np.array([[1, 0.9, 0, 0], [1, 0.1, 0, 0], [1, 0.5, 0, 0]])
    given = ((ANIMAL, DOG),) * 3
    # t = 0.5: one above it, one far below, and one that equals it.
    assert rows_of(ranked(given, scores).doubtful(5)) == [(1, DOG, 0.1)]
    scores = np.array([[1, 1, 0, 0], [1, 0.2, 0, 0], [1, 0.1, 0, 0]])
    found = ranked(given, scores)
    assert rows_of(found.doubtful(5)) == [(2, DOG, 0.1), (1, DOG, 0.2)]
    assert len(found.doubtful(1)) == 1
    # Of a class that is scored low a low score says less: 0.5 / 0.1 and
    # 0.2 / 0.08.
    rare = np.array([[0, 0, 0, 0.32], [0, 0, 0, 0.08]])
    scores = np.array([[1, 0.9, 0, 0], [1, 0.1, 0, 0]])
    both = ranked(
        ((ANIMAL, DOG),) * 2 + ((STONE,),) * 2, np.concatenate([scores, rare])
    )
    assert rows_of(both.doubtful(5)) == [(1, DOG, 0.1), (3, STONE, 0.08)]


def test_of_a_class_there_are_so_many():
    scores = np.array([[1, 1, 0, 0], [1, 0.2, 0, 0], [1, 0.1, 0, 0]])
    given = ((ANIMAL, DOG),) * 3
    (first,) = rows_of(ranked(given, scores, per_class=1).doubtful(5))
    assert first == (2, DOG, 0.1)


def test_what_somebody_has_looked_at_is_no_finding():
    settled = np.zeros(SCORES.shape, bool)
    settled[1, [DOG, CAT]] = True
    found = ranked(settled=settled)
    assert len(found.doubtful(10)) == len(found.missing(10)) == 0
    # Its scores say what is usual all the same.
    assert found.thresholds() == pytest.approx([0.8, 0.5, 0.6, 0.5])


def test_labels_are_counted_by_class_and_origin():
    code = int(ledger_codes(int(Rule.ANNOTATED), int(Source.CORRECTIONS)))
    ledger = np.full(SCORES.shape, code, np.int16)
    found = ranked(ledger=ledger)
    assert found.given.tolist() == [0, 2, 1, 1]
    assert found.given_by_code[code] == found.given.sum() == 4
    assert found.images == 4


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_and_pruning_make_no_difference(batch, monkeypatch):
    rng = np.random.default_rng(0)
    given = tuple(GIVEN[i] for i in rng.integers(4, size=300))
    # Many ties.
    scores = np.round(rng.random((300, 4)), 1)
    whole = ranked(given, scores, per_class=20, batch=300)
    monkeypatch.setattr(ranking, "_WAITING", 10)
    parts = ranked(given, scores, per_class=20, batch=batch)
    for kind in ("doubtful", "missing"):
        expected = rows_of(getattr(whole, kind)(30))
        assert len(expected) == 30
        assert rows_of(getattr(parts, kind)(30)) == expected


def test_leaf_most_of_a_class_with_several_parents():
    tree = Hierarchy([(), (), (0, 1), (0,)])
    given = np.array([[1, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0]], bool)
    rows, columns = leaf_most(given, tree)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [
        (0, 2),
        (1, 3),
        (2, 0),
        (2, 1),
    ]


def test_nothing_found_is_no_error():
    found = NoiseRanking(TREE, 5)
    assert len(found.doubtful(5)) == len(found.missing(5)) == 0
    assert np.isnan(found.thresholds()).all()


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="at least 1"):
        NoiseRanking(TREE, 0)
    found = NoiseRanking(TREE, 1)
    with pytest.raises(InputError, match=r"\[images, 4\]"):
        found.add(np.zeros((1, 3)), np.zeros((1, 3)))
    for bad in (1.5, -0.1, np.nan):
        with pytest.raises(InputError, match="0 to 1"):
            found.add(np.zeros((1, 4)), np.full((1, 4), bad))
