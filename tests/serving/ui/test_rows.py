"""What the browser is given of answers."""

from __future__ import annotations

import pytest

from serving.api.prediction import Prediction, Tag
from serving.ui.rows import to_answer
from serving.ui.tag_tree import Choice

ANIMAL, PET, DOG, CAT = "n00015388", "n01318894", "n02084071", "n02121620"


def answer(*tags: Tag) -> Prediction:
    return Prediction(True, tags, "m", "v")


STABLE = answer(
    Tag("animal", ANIMAL, 0.9, False, True, ()),
    Tag("pet", PET, 0.8, False, False, (ANIMAL,)),
    Tag("dog, domestic dog", DOG, 0.7, False, True, (ANIMAL, PET)),
    Tag("cat, true cat", CAT, 0.2, True, False, (ANIMAL, PET)),
)
CANARY = answer(
    Tag("animal", ANIMAL, 0.95, False, True, ()),
    Tag("dog, domestic dog", DOG, 0.5, False, True, (ANIMAL, PET)),
)


def shown_of(*answers, choice=None):
    columns = ["stable", "canary"][: len(answers)]
    return to_answer(answers, columns, choice or Choice())


def test_rows_show_marks_and_missing_scores():
    shown = shown_of(STABLE, CANARY)
    rows = {row["name"]: row for row in shown["rows"]}
    assert [*rows] == ["animal", "pet", "dog", "cat"]
    animal, dog, cat = rows["animal"], rows["dog"], rows["cat"]
    assert [c["text"] for c in animal["cells"]] == ["0.90", "0.95"]
    assert (animal["parent"], animal["depth"]) == (-1, 0)
    assert shown["rows"][dog["parent"]] is animal and dog["depth"] == 1
    assert dog["title"] == "also: domestic dog\nalso below: pet"
    # Of a tag in one version alone first, then of scores that are far apart.
    assert dog["marks"] == [
        ["only stable", [False, 0.5, 0.7]],
        ["−0.20", [True, -1.0, 0.7]],
    ]
    assert cat["cells"][1] == {
        "text": "–",
        "width": 0,
        "tag": [False, -1.0, -1.0],
        "column": "canary",
    }
    assert cat["leaf"] and not cat["marks"]


def test_texts_of_an_image():
    shown = shown_of(STABLE)
    assert [name for name, _ in shown["tags"]] == [
        "animal",
        "pet",
        "dog",
        "cat",
    ]
    assert shown["best"][-1] == ["cat", [False, -1.0, 0.2]]
    assert shown["limits"] == [
        ["the model answers its best 4 alone", [False, -1.0, 0.2]]
    ]
    assert shown["left_out"] == []


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ("", "No tag with these settings: try a lower threshold."),
        (" food ", 'nothing matches "food"'),
        (
            "cat",
            'No tag matches "cat" with these settings: try a lower threshold.',
        ),
    ],
)
def test_nothing_is_explained(search, text):
    assert shown_of(STABLE, choice=Choice(search=search))["nothing"] == text
