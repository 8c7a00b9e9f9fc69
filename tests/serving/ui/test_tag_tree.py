"""Answers become a tree, by hand-computed cases."""

from __future__ import annotations

import pytest

from serving.api.prediction import Prediction, Tag
from serving.ui.rows import to_rows
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


def outline(tree):
    """Returns (depth, first name) of every row."""

    def lines(node, depth):
        yield depth, node.name.split(",")[0]
        for child in node.children:
            yield from lines(child, depth + 1)

    return [line for root in tree.roots for line in lines(root, 0)]


def test_calibrated_tags_stand_below_their_best_parent():
    tree = tag_tree([STABLE], Choice())
    # Pet is no tag, but stands above dog beside animal, which scores more.
    assert outline(tree) == [
        (0, "animal"),
        (1, "pet"),
        (1, "dog"),
        (2, "poodle"),
    ]
    animal, pet, dog, poodle = walk(tree.roots[0])
    assert (pet.is_tag, dog.is_tag) == (False, True)
    assert dog.also_under == ("pet",)
    assert poodle.scores == (0.6,) and poodle.leaf
    assert (tree.tags, tree.left_out) == (3, 0)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(threshold=0.75), [(0, "animal"), (1, "pet")]),
        (Choice(threshold=0.95), []),
        (Choice(most_specific=True), [(0, "poodle")]),
        (
            Choice(threshold=0.0, most_specific=True),
            [(0, "poodle"), (0, "cat")],
        ),
        (
            Choice(search=" DOMESTIC"),
            [(0, "animal"), (1, "pet"), (1, "dog")],
        ),
        (Choice(search="113335", most_specific=True), [(0, "poodle")]),
        (Choice(search="whale"), []),
        (Choice(threshold=0.0, most_rows=1), [(0, "animal")]),
    ],
)
def test_choices(choice, expected):
    assert outline(tag_tree([STABLE], choice)) == expected


def test_rows_over_the_limit_are_counted():
    tree = tag_tree([STABLE], Choice(threshold=0.0, most_rows=2))
    assert (tree.tags, tree.left_out) == (5, 3)


def test_two_versions_share_one_tree():
    tree = tag_tree([STABLE, CANARY], Choice())
    # By the higher of two scores: cat 0.75 before dog 0.7.
    names = ["animal", "pet", "cat", "dog", "poodle"]
    assert [name for _, name in outline(tree)] == names
    nodes = {n.wnid: n for n in walk(tree.roots[0])}
    assert nodes[CAT].scores == (0.2, 0.75)
    assert nodes[CAT].tags == (False, True)
    assert nodes[POODLE].scores == (0.6, None)
    # All that canary answers below pet are tags: poodle may be one too.
    assert nodes[POODLE].tags == (True, None)
    # Cat is a tag in one alone; dog differs by 0.2.
    assert [w for w, n in nodes.items() if n.differs] == [CAT, DOG]
    assert tree.differences == 2
    # Over 0.5 canary's last is none, so poodle, which it lacks, is none.
    tree = tag_tree([STABLE, CANARY], Choice(threshold=0.6))
    nodes = {n.wnid: n for n in walk(tree.roots[0])}
    assert nodes[POODLE].tags == (True, False)
    assert nodes[POODLE].differs


def test_rows_show_marks_and_missing_scores():
    tree = tag_tree([STABLE, CANARY], Choice())
    animal = to_rows(tree.roots, ["stable", "canary"])[0]
    assert animal["label"] == "animal"
    assert [c["text"] for c in animal["cells"]] == ["0.90", "0.95"]
    _, cat, dog = animal["children"]
    assert (cat["mark"], dog["mark"]) == ("only canary", "−0.20")
    assert dog["title"] == "also: domestic dog\nalso below: pet"
    poodle = dog["children"][0]
    assert (poodle["mark"], poodle["leaf"]) == ("", True)
    assert poodle["cells"][1] == {
        "text": "–",
        "width": 0,
        "tag": False,
        "column": "canary",
    }


def test_answers_without_a_root_or_with_a_circle_end():
    lonely = answer(tag(DOG, "dog", 0.9, True, (ANIMAL,)))
    assert outline(tag_tree([lonely], Choice())) == [(0, "dog")]
    circle = answer(
        tag(DOG, "dog", 0.9, True, (CAT,)), tag(CAT, "cat", 0.9, True, (DOG,))
    )
    assert tag_tree([circle], Choice()).tags == 2
    assert tag_tree([answer()], Choice()).roots == ()
