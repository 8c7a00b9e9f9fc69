"""Tags as paths down the tree."""

from __future__ import annotations

from serving.api.prediction import Tag
from serving.sidecars.words import Word, words

ANIMAL = Tag("animal", "n1", 0.9)
DOG = Tag("dog", "n2", 0.8, parents=("n1", "n9"))
PUG = Tag("pug\x07", "n3", 0.7, parents=("n2",))


def test_paths_start_at_a_root():
    assert words([ANIMAL, DOG], lambda _: None) == [
        Word("animal", ("animal",)),
        Word("dog", ("animal", "dog")),
    ]


def test_what_is_no_tag_is_looked_up():
    known = {"n1": ANIMAL, "n2": DOG}
    assert words([PUG], known.get) == [Word("pug", ("animal", "dog", "pug"))]
    assert words([PUG], {"n2": DOG}.get) == [Word("pug", ("dog", "pug"))]
    assert words([], known.get) == []


def test_classes_above_each_other_end():
    one = Tag("one", "n1", 0.9, parents=("n2",))
    two = Tag("two", "n2", 0.9, parents=("n1",))
    assert words([one, two], lambda _: None) == [
        Word("one", ("two", "one")),
        Word("two", ("one", "two")),
    ]
