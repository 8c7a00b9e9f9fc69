import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from tests.bench.hierarchy_tree import RULES, single_parent

ANIMAL, CANINE, DOG, POODLE = (
    "n00015388",
    "n02083346",
    "n02084071",
    "n02113335",
)


def vocabulary(*wnids) -> Vocabulary:
    return Vocabulary(TagClass(i, w, w) for i, w in enumerate(wnids))


@pytest.mark.parametrize("rule", RULES)
def test_every_class_has_one_parent(rule):
    wolf = "n02114100"
    classes = vocabulary(ANIMAL, CANINE, wolf)
    assert single_parent(classes, rule).parents == ((), (0,), (1,))


def test_nearest_of_two_paths_wins():
    # dog -> canine, and dog -> domestic animal -> animal
    tree = single_parent(vocabulary(ANIMAL, CANINE, DOG))
    assert tree.parents == ((), (0,), (1,))


def test_only_child_becomes_a_sibling():
    classes = vocabulary(ANIMAL, CANINE, DOG)
    assert single_parent(classes, without_only_children=3).parents == (
        (),
        (0,),
        (0,),
    )


def test_lifting_from_the_bottom_leaves_a_pair():
    # poodle is lifted beside dog, and so canine has two children.
    classes = vocabulary(ANIMAL, CANINE, DOG, POODLE)
    assert single_parent(classes, without_only_children=4).parents == (
        (),
        (0,),
        (1,),
        (1,),
    )


def test_later_classes_are_linked_to_the_nearest():
    classes = vocabulary(ANIMAL, CANINE, DOG, POODLE)
    assert single_parent(classes, without_only_children=3).parents == (
        (),
        (0,),
        (0,),
        (2,),
    )


def test_unknown_rule_is_refused():
    with pytest.raises(InputError, match="rule must be one of nearest, first"):
        single_parent(vocabulary(DOG), "best")
