"""Tests of served_classes: consistent scores, chosen classes."""

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from model.scores.coherent import bottom_up, coherent
from model.scores.tagging import Tagging
from serving.api.contract import MAX_LIST_IDS
from serving.saved_model.served_classes import Selection, ServedClasses

# thing > animal > dog, cat; thing > bed; dog and bed > dog bed.
IDS = (
    "n00000000",
    "n00000001",
    "n00000002",
    "n00000003",
    "n00000004",
    "n00000005",
)
NAMES = ("thing", "animal", "dog", "cat", "bed", "dog bed")
PARENTS = [(), (0,), (1,), (1,), (0,), (2, 4)]
THING, ANIMAL, DOG, CAT, BED, DOG_BED = range(6)


def served(tagging=None) -> ServedClasses:
    classes = zip(IDS, NAMES, strict=True)
    vocabulary = Vocabulary(TagClass(i, *c) for i, c in enumerate(classes))
    return ServedClasses(vocabulary, Hierarchy(PARENTS), tagging)


def logits_of(*probabilities) -> tf.Tensor:
    p = np.array([probabilities])
    return tf.constant(np.log(p / (1 - p)), tf.float32)


def chosen(probabilities, classes=None, **wanted) -> list[int]:
    """Returns the classes that are chosen for one row."""
    values = {
        "max_labels": 20,
        "min_confidence": -1.0,
        "most_specific": False,
        "include": "",
        "exclude": "",
        **wanted,
    }
    selection = Selection(**{k: tf.constant([v]) for k, v in values.items()})
    classes = classes or served()
    scores = tf.constant([probabilities], tf.float32)
    found = tf.function(classes.select)(scores, selection)
    return np.flatnonzero(found.numpy()[0]).tolist()


def test_no_class_is_less_probable_than_one_below_it():
    found = served().probabilities(logits_of(0.3, 0.2, 0.1, 0.6, 0.05, 0.4))
    expected = [[0.6, 0.6, 0.4, 0.6, 0.4, 0.4]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_random_scores_are_consistent_and_never_lowered():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (50, 6)).astype(np.float32)
    found = served().probabilities(tf.constant(logits)).numpy()
    own = 1 / (1 + np.exp(-logits))
    assert (found >= own - 1e-6).all()
    for child, parents in enumerate(PARENTS):
        for parent in parents:
            assert (found[:, parent] >= found[:, child]).all()


def test_calibration_comes_first():
    fitted = np.tile([1.0, 0.0], (6, 1))
    fitted[CAT] = [2.0, 1.0]
    tagging = Tagging(fitted, np.full(6, 0.5), {})
    found = served(tagging).probabilities(tf.zeros([1, 6])).numpy()[0]
    cat = 1 / (1 + np.exp(-1.0))
    expected = [cat, cat, 0.5, cat, 0.5, 0.5]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_served_is_what_is_evaluated():
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 3, (50, 6)).astype(np.float32)
    edges = bottom_up(Hierarchy(PARENTS))
    scores = coherent(1 / (1 + np.exp(-logits)), edges)
    found = served().probabilities(tf.constant(logits))
    np.testing.assert_allclose(found, scores, atol=1e-6)
    fitted = np.stack([rng.normal(1, 0.5, 6), rng.normal(0, 1, 6)], axis=1)
    tagging = Tagging(fitted, np.full(6, 0.5), {})
    expected = coherent(tagging.logits(scores), edges)
    found = served(tagging).probabilities(tf.constant(logits))
    np.testing.assert_allclose(
        found, 1 / (1 + np.exp(-expected)), rtol=1e-4, atol=1e-6
    )


def test_thresholds_of_classes_and_never():
    thresholds = np.array([0.5, 0.9, 0.2, np.inf, 0.5, 0.5])
    tagging = Tagging(np.tile([1.0, 0.0], (6, 1)), thresholds, {})
    scores = [0.9, 0.89, 0.2, 1.0, 0.1, 0.1]
    assert chosen(scores, served(tagging)) == [THING, DOG]
    # A wished confidence counts instead of them.
    found = chosen(scores, served(tagging), min_confidence=0.89)
    assert found == [THING, ANIMAL, CAT]


def test_most_specific():
    scores = [0.9, 0.9, 0.8, 0.1, 0.7, 0.2]
    assert chosen(scores) == [THING, ANIMAL, DOG, BED]
    assert chosen(scores, most_specific=True) == [DOG, BED]


def test_most_specific_counts_only_what_may_be_a_tag():
    scores = [0.9, 0.9, 0.8, 0.1, 0.7, 0.2]
    found = chosen(scores, most_specific=True, exclude="n00000002")
    assert found == [ANIMAL, BED]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ("n00000001", "", [ANIMAL, DOG, CAT, DOG_BED]),
        ("n00000002 n00000004", "", [DOG, BED, DOG_BED]),
        (" n00000002,\tn00000004 ,", "", [DOG, BED, DOG_BED]),
        ("", "n00000001", [THING, BED]),
        ("n00000001", "n00000002", [ANIMAL, CAT]),
        ("unknown", "", []),
        ("", "unknown n", [THING, ANIMAL, DOG, CAT, BED, DOG_BED]),
        ("n00000003 n00000003", "", [CAT]),
    ],
)
def test_lists(include, exclude, expected):
    assert chosen([0.9] * 6, include=include, exclude=exclude) == expected


def test_the_end_of_a_very_long_list_is_not_read():
    names = " ".join(["x"] * (MAX_LIST_IDS + 1))
    assert chosen([0.9] * 6, include=f"n00000003 {names}") == [CAT]
    assert chosen([0.9] * 6, include=f"{names} n00000003") == []


def test_every_row_has_its_own_wishes():
    scores = tf.constant([[0.9] * 6] * 3, tf.float32)
    wanted = Selection(
        tf.constant([9, 9, 9]),
        tf.constant([-1.0, 0.95, 0.1]),
        tf.constant([True, False, False]),
        tf.constant(["", "", "n00000003"]),
        tf.constant(["", "", ""]),
    )
    found = served().select(scores, wanted).numpy()
    assert [np.flatnonzero(row).tolist() for row in found] == [
        [CAT, DOG_BED],
        [],
        [CAT],
    ]


def test_descriptions():
    found = served().describe(tf.constant([[DOG_BED, THING]]))
    assert found["parents"].numpy().tolist() == [[b"n00000002,n00000004", b""]]
    assert found["names"].numpy().tolist() == [[b"dog bed", b"thing"]]
    assert found["leaf"].numpy().tolist() == [[True, False]]
