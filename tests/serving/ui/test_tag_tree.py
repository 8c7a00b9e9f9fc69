"""Answers become a tree, by hand-computed cases."""

from __future__ import annotations

import pytest

from serving.api.prediction import Prediction, Tag
from serving.ui.tag_tree import Choice, tag_tree, walk

ANIMAL, PET, DOG, CAT, POODLE = (
    "n00015388",
    "n01318894",
    "n02084071",
    "n02121620",
    "n02113335",
)


def answer(*tags: Tag) -> Prediction:
    return Prediction(True, tags, "m", "v")


def tag(wnid, name, score, is_tag, parents=(), leaf=False):
    return Tag(name, wnid, score, leaf, is_tag, parents)


STABLE = answer(
    tag(ANIMAL, "animal", 0.9, True),
    tag(PET, "pet", 0.8, False, (ANIMAL,)),
    tag(DOG, "dog, domestic dog", 0.7, True, (ANIMAL, PET)),
    tag(POODLE, "poodle", 0.6, True, (DOG,), leaf=True),
    tag(CAT, "cat, true cat", 0.2, False, (ANIMAL, PET), leaf=True),
)
CANARY = answer(
    tag(ANIMAL, "animal", 0.95, True),
    tag(PET, "pet", 0.85, False, (ANIMAL,)),
    tag(CAT, "cat, true cat", 0.75, True, (ANIMAL, PET), leaf=True),
    tag(DOG, "dog, domestic dog", 0.5, True, (ANIMAL, PET)),
)


def outline(tree, threshold=None):
    """Returns (depth, first name) of every row that is shown."""

    def lines(node, depth):
        if node.shown.holds(threshold):
            yield depth, node.name.split(",")[0]
        for child in node.children:
            yield from lines(child, depth + 1)

    return [line for root in tree.roots for line in lines(root, 0)]


def names(pairs, threshold=None):
    return [n.split(",")[0] for n, when in pairs if when.holds(threshold)]


def nodes_of(tree):
    return {n.wnid: n for root in tree.roots for n in walk(root)}


def test_calibrated_tags_stand_below_their_best_parent():
    tree = tag_tree([STABLE], Choice())
    # Pet is no tag, but stands above dog beside animal, which scores more.
    assert outline(tree) == [
        (0, "animal"),
        (1, "pet"),
        (1, "dog"),
        (2, "poodle"),
    ]
    nodes = nodes_of(tree)
    assert not nodes[PET].is_tag.holds(None)
    assert nodes[DOG].is_tag.holds(None)
    assert nodes[DOG].also_under == ("pet",)
    assert nodes[POODLE].scores == (0.6,) and nodes[POODLE].leaf
    assert names(tree.tags) == ["animal", "dog", "poodle"]
    assert (names(tree.best), tree.left_out) == (["poodle"], ())


@pytest.mark.parametrize(
    ("choice", "threshold", "expected"),
    [
        (Choice(), 0.75, [(0, "animal"), (1, "pet")]),
        (Choice(), 0.8, [(0, "animal"), (1, "pet")]),
        (Choice(), 0.81, [(0, "animal")]),
        (Choice(), 0.95, []),
        (Choice(most_specific=True), None, [(0, "poodle")]),
        # One tree for all of these.
        (Choice(most_specific=True), 0.0, [(0, "poodle"), (0, "cat")]),
        (Choice(most_specific=True), 0.65, [(0, "dog")]),
        (Choice(most_specific=True), 0.9, [(0, "animal")]),
        (
            Choice(search=" DOMESTIC"),
            None,
            [(0, "animal"), (1, "pet"), (1, "dog")],
        ),
        (
            Choice(search="113335", most_specific=True),
            None,
            [(0, "poodle")],
        ),
        (Choice(search="whale"), None, []),
        (Choice(most_rows=1), 0.0, [(0, "animal")]),
    ],
)
def test_choices(choice, threshold, expected):
    assert outline(tag_tree([STABLE], choice), threshold) == expected


def test_the_best_tags_are_those_with_no_tag_below():
    tree = tag_tree([STABLE], Choice(search="whale"))
    assert names(tree.best, 0.0) == ["poodle", "cat"]
    assert names(tree.best, 0.65) == ["dog"]
    # Pet and dog stand beside each other in the tree, not for the classes.
    assert names(tree.best, 0.75) == ["pet"]
    assert names(tree.tags, 0.0) == []


def test_rows_over_the_limit_are_counted():
    tree = tag_tree([STABLE], Choice(most_rows=2))
    assert names(tree.tags, 0.0) == ["animal", "dog"]
    assert sum(when.holds(0.0) for when in tree.left_out) == 3
    assert sum(when.holds(None) for when in tree.left_out) == 1


def test_two_versions_share_one_tree():
    tree = tag_tree([STABLE, CANARY], Choice())
    # By the higher of two scores: cat 0.75 before dog 0.7.
    expected = ["animal", "pet", "cat", "dog", "poodle"]
    assert [name for _, name in outline(tree)] == expected
    nodes = nodes_of(tree)
    assert nodes[CAT].scores == (0.2, 0.75)
    assert [w.holds(None) for w in nodes[CAT].tags] == [False, True]
    assert nodes[POODLE].scores == (0.6, None)
    # All that canary answers below pet are tags: poodle may be one too.
    assert [w.holds(None) for w in nodes[POODLE].tags] == [True, False]
    assert not nodes[POODLE].others[1].holds(None)
    # Cat is a tag in one alone; dog differs by 0.2.
    only = {w for w, n in nodes.items() if any(o.holds(None) for o in n.only)}
    assert only == {CAT}
    apart = {w: n.apart for w, n in nodes.items() if n.apart is not None}
    assert apart == {CAT: pytest.approx(0.55), DOG: pytest.approx(-0.2)}
    # Over 0.5 canary's last is none, so poodle, which it lacks, is none.
    assert nodes[POODLE].others[1].holds(0.6)
    assert [o.holds(0.6) for o in nodes[POODLE].only] == [True, False]
    assert not any(o.holds(0.5) for o in nodes[POODLE].only)


def test_answers_without_a_root_or_with_a_circle_end():
    lonely = answer(tag(DOG, "dog", 0.9, True, (ANIMAL,)))
    assert outline(tag_tree([lonely], Choice())) == [(0, "dog")]
    circle = answer(
        tag(DOG, "dog", 0.9, True, (CAT,)), tag(CAT, "cat", 0.9, True, (DOG,))
    )
    assert names(tag_tree([circle], Choice()).tags) == ["cat", "dog"]
    assert tag_tree([answer()], Choice()).roots == ()
