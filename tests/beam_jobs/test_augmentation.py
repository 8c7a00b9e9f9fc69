from beam_jobs.annotations import Annotation
from beam_jobs.augmentation import augment, close, find_unclosed
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.records import Label, Rule, Source
from beam_jobs.vocabulary import TagClass, Vocabulary

ANIMAL, CANINE, DOG, CAT, STONE = range(5)
WNIDS = ("n00015388", "n02083346", "n02084071", "n02121620", "n09416076")
VOCABULARY = Vocabulary(
    TagClass(i, wnid, name)
    for i, (wnid, name) in enumerate(
        zip(WNIDS, ("animal", "canine", "dog", "cat", "stone"), strict=True)
    )
)
TREE = Hierarchy([(), (ANIMAL,), (CANINE,), (ANIMAL,), ()])
HUMAN, MACHINE = Source.OPEN_IMAGES_HUMAN, Source.OPEN_IMAGES_MACHINE


def said(index, confidence, source=HUMAN):
    return Annotation(WNIDS[index], confidence, source)


def test_ancestors_are_added_with_their_origin():
    labels, absent = augment([said(DOG, 1.0)], VOCABULARY, TREE)
    assert labels == (
        Label(ANIMAL, 1.0, Rule.ANCESTOR, DOG, HUMAN),
        Label(CANINE, 1.0, Rule.ANCESTOR, DOG, HUMAN),
        Label(DOG, 1.0, Rule.ANNOTATED, DOG, HUMAN),
    )
    assert absent == ()


def test_an_ancestor_takes_the_largest_confidence_below_it():
    labels, _ = augment(
        [said(DOG, 0.8, MACHINE), said(CAT, 0.9, MACHINE)], VOCABULARY, TREE
    )
    found = {label.index: label for label in labels}
    assert found[ANIMAL].confidence == 0.9
    assert found[ANIMAL].derived_from == CAT
    assert found[CANINE].confidence == 0.8


def test_an_annotated_ancestor_is_raised_to_its_descendant():
    labels, _ = augment([said(ANIMAL, 0.8), said(DOG, 1.0)], VOCABULARY, TREE)
    assert labels[ANIMAL] == Label(ANIMAL, 1.0, Rule.ANCESTOR, DOG, HUMAN)


def test_annotated_wins_over_derived_at_equal_confidence():
    labels, _ = augment([said(ANIMAL, 1.0), said(DOG, 1.0)], VOCABULARY, TREE)
    assert labels[ANIMAL].rule == Rule.ANNOTATED


def test_absent_rules_out_descendants_but_never_what_is_present():
    labels, absent = augment(
        [said(CANINE, 0.0), said(CAT, 1.0), said(ANIMAL, 0.0)],
        VOCABULARY,
        TREE,
    )
    assert [label.index for label in labels] == [ANIMAL, CAT]
    assert absent == (CANINE, DOG)


def test_low_confidence_and_unknown_classes_say_nothing():
    unknown = Annotation("n00007846", 1.0, HUMAN)
    labels, absent = augment(
        [said(DOG, 0.69), unknown, Annotation("", 1.0, HUMAN)],
        VOCABULARY,
        TREE,
        min_confidence=0.7,
    )
    assert (labels, absent) == ((), ())


def test_order_of_annotations_does_not_matter():
    said_of_it = [said(DOG, 1.0), said(CAT, 1.0), said(DOG, 0.9, MACHINE)]
    assert augment(said_of_it, VOCABULARY, TREE) == augment(
        said_of_it[::-1], VOCABULARY, TREE
    )


def test_unclosed_pairs_are_found_and_closed():
    dog = Label(DOG, 1.0, Rule.ANNOTATED, DOG, HUMAN)
    weak = Label(ANIMAL, 0.5, Rule.ANNOTATED, ANIMAL, HUMAN)
    assert find_unclosed([dog, weak], TREE) == [(DOG, ANIMAL), (DOG, CANINE)]
    assert find_unclosed(close([dog, weak], TREE), TREE) == []
