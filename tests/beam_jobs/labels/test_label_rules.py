from collections import namedtuple

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.pairs import Pairs
from beam_jobs.labels.ragged_columns import Annotations, Labels

ANIMAL, CANINE, DOG, CAT, STONE = range(5)
TREE = Hierarchy([(), (ANIMAL,), (CANINE,), (ANIMAL,), ()])
HUMAN, MACHINE = Source.OPEN_IMAGES_HUMAN, Source.OPEN_IMAGES_MACHINE
ANNOTATED, ANCESTOR, CO_OCCURRENCE, PARENT = Rule

Label = namedtuple("Label", "index confidence rule parent source")


def said(*rows) -> Annotations:
    """Columns of rows of (class, confidence) or (class, confidence, source)."""
    values = [(*v, HUMAN)[:3] for row in rows for v in row]
    ids, confidences, sources = list(zip(*values, strict=True)) or [()] * 3
    return Annotations(
        np.cumsum([0, *map(len, rows)]),
        np.array(ids, np.int32),
        np.array(confidences, np.float32),
        np.array(sources, np.uint8),
    )


def pairs_of(*pairs) -> Pairs:
    source, added = list(zip(*pairs, strict=True)) or [(), ()]
    ones = np.ones(len(pairs), np.int64)
    return Pairs(
        np.array(source, np.int32),
        np.array(added, np.int32),
        np.ones(len(pairs)),
        ones,
        ones,
    )


def rows_of(labels: Labels) -> list[list[Label]]:
    columns = zip(
        labels.ids.tolist(),
        labels.confidences.tolist(),
        labels.rules.tolist(),
        labels.parents.tolist(),
        labels.sources.tolist(),
        strict=True,
    )
    values = [Label(*value) for value in columns]
    splits = labels.row_splits
    return [values[a:b] for a, b in zip(splits, splits[1:], strict=False)]


def columns_of(*labels, row_splits=None) -> Labels:
    columns = zip(*labels, strict=True)
    dtypes = (np.int32, np.float32, np.uint8, np.int32, np.uint8)
    splits = [0, len(labels)] if row_splits is None else row_splits
    return Labels(np.array(splits), *map(np.array, columns, dtypes))


def by_rules(*row, pairs=None, hierarchy=TREE, **options):
    """Returns labels, absent ids and hidden of one row."""
    batch = LabelRules(hierarchy, pairs, **options).label(said(row))
    (labels,) = rows_of(batch.labels)
    assert batch.absent_splits.tolist() == [0, len(batch.absent_ids)]
    return labels, batch.absent_ids.tolist(), batch.hidden.tolist()


def test_corrections_overrule_all_others():
    mine = Source.CORRECTIONS
    labels, absent, hidden = by_rules(
        (DOG, 1.0), (CAT, 0.9, MACHINE), (CANINE, 0.0, mine)
    )
    assert labels == [
        (ANIMAL, np.float32(0.9), ANCESTOR, CAT, MACHINE),
        (CAT, np.float32(0.9), ANNOTATED, CAT, MACHINE),
    ]
    assert absent == [CANINE, DOG]
    assert hidden == [True, True, True]
    labels, absent, _ = by_rules((CAT, 0.0), (STONE, 1.0), (CAT, 1.0, mine))
    assert [label.index for label in labels] == [ANIMAL, CAT, STONE]
    assert labels[1] == (CAT, 1.0, ANNOTATED, CAT, mine)
    assert absent == []


def test_corrections_switched_off_change_nothing():
    row = ((DOG, 1.0), (CAT, 0.9, MACHINE), (STONE, 0.0))
    others = [s for s in Source if s is not Source.CORRECTIONS]
    denied = (CANINE, 0.0, Source.CORRECTIONS)
    labels, absent, hidden = by_rules(*row, denied, sources=others)
    assert (labels, absent, hidden[:3]) == by_rules(*row)


def test_a_pair_adds_no_class_that_corrections_rule_out():
    pairs = pairs_of((CAT, DOG), (CAT, STONE))
    denied = (CANINE, 0.0, Source.CORRECTIONS)
    labels, _, _ = by_rules((CAT, 1.0), denied, pairs=pairs)
    assert [label.index for label in labels] == [ANIMAL, CAT, STONE]
    # A correction of one row is none of the next.
    both = said(((CAT, 1.0), denied), ((CAT, 1.0),))
    batch = LabelRules(TREE, pairs).label(both)
    assert [[x.index for x in row] for row in rows_of(batch.labels)] == [
        [ANIMAL, CAT, STONE],
        [ANIMAL, CANINE, DOG, CAT, STONE],
    ]


def test_ancestors_are_added_with_their_parent_and_source():
    labels, absent, hidden = by_rules((DOG, 1.0))
    assert labels == [
        (ANIMAL, 1.0, ANCESTOR, DOG, HUMAN),
        (CANINE, 1.0, ANCESTOR, DOG, HUMAN),
        (DOG, 1.0, ANNOTATED, DOG, HUMAN),
    ]
    assert (absent, hidden) == ([], [False])


def test_columns_have_their_types():
    batch = LabelRules(TREE).label(said([(DOG, 1.0), (STONE, 0.0)]))
    found = [
        *vars(batch.labels).values(),
        *(batch.absent_splits, batch.absent_ids, batch.hidden),
    ]
    names = "int64 int32 float32 uint8 int32 uint8 int64 int32 bool"
    assert [column.dtype.name for column in found] == names.split()


def test_an_ancestor_takes_the_largest_confidence_below_it():
    labels, _, _ = by_rules((DOG, 0.75), (CAT, 0.875, MACHINE))
    assert labels[:2] == [
        (ANIMAL, 0.875, ANCESTOR, CAT, MACHINE),
        (CANINE, 0.75, ANCESTOR, DOG, HUMAN),
    ]


def test_an_annotated_ancestor_is_raised_and_its_annotation_hidden():
    labels, _, hidden = by_rules((ANIMAL, 0.75), (DOG, 1.0))
    assert labels[ANIMAL] == (ANIMAL, 1.0, ANCESTOR, DOG, HUMAN)
    assert hidden == [True, False]


def test_annotated_wins_over_derived_at_equal_confidence():
    labels, _, hidden = by_rules((ANIMAL, 1.0), (DOG, 1.0))
    assert labels[ANIMAL].rule == ANNOTATED
    assert hidden == [False, False]


def test_equal_claims_go_to_the_lower_class_and_the_lower_source():
    labels, _, hidden = by_rules((CAT, 1.0), (DOG, 1.0, MACHINE), (DOG, 1.0))
    assert labels[ANIMAL].parent == DOG
    assert labels[DOG].source == HUMAN
    assert hidden == [False, True, False]


def test_the_same_annotation_twice_is_visible():
    assert by_rules((DOG, 1.0), (DOG, 1.0))[2] == [False, False]


def test_absent_rules_out_descendants_but_never_what_is_present():
    labels, absent, hidden = by_rules((CANINE, 0.0), (CAT, 1.0), (ANIMAL, 0.0))
    assert [label.index for label in labels] == [ANIMAL, CAT]
    assert absent == [CANINE, DOG]
    assert hidden == [False] * 3


def test_low_confidence_and_unknown_classes_say_nothing():
    row = [(DOG, 0.69), (-1, 1.0), (-1, 0.0)]
    assert by_rules(*row) == ([], [], [False] * 3)


def test_least_confidence_is_met_by_the_float32_nearest_to_it():
    # Which lies under the 0.7 of the option.
    assert len(by_rules((STONE, 0.7))[0]) == 1
    assert (
        len(by_rules((STONE, np.nextafter(np.float32(0.7), np.float32(0))))[0])
        == 0
    )


def test_minus_zero_is_absent():
    assert by_rules((DOG, -0.0))[1] == [DOG]


def test_rows_do_not_touch_each_other():
    rows = [[(DOG, 1.0)], [], [(CANINE, 0.0)], [(CAT, 0.0)], [(STONE, 1.0)]]
    batch = LabelRules(TREE, pairs_of((CAT, STONE))).label(said(*rows))
    assert batch.labels.row_splits.tolist() == [0, 3, 3, 3, 3, 4]
    assert batch.absent_splits.tolist() == [0, 0, 0, 2, 3, 3]
    assert batch.absent_ids.tolist() == [CANINE, DOG, CAT]


def test_long_rows_are_sorted():
    order = np.random.default_rng(0).permutation(500)
    present = [(int(i), 1.0) for i in order if i % 3]
    row = [*present, *((int(i), 0.0) for i in order if not i % 3)]
    labels, absent, _ = by_rules(*row, hierarchy=Hierarchy([()] * 500))
    assert [x.index for x in labels] == [i for i in range(500) if i % 3]
    assert absent == list(range(0, 500, 3))


def test_no_rows():
    batch = LabelRules(TREE).label(said())
    assert (len(batch.labels), len(batch.hidden)) == (0, 0)


def test_co_occurring_classes_bring_their_ancestors():
    labels, _, _ = by_rules((STONE, 0.75), pairs=pairs_of((STONE, DOG)))
    assert labels == [
        (ANIMAL, 0.75, ANCESTOR, DOG, HUMAN),
        (CANINE, 0.75, ANCESTOR, DOG, HUMAN),
        (DOG, 0.75, CO_OCCURRENCE, STONE, HUMAN),
        (STONE, 0.75, ANNOTATED, STONE, HUMAN),
    ]


def test_pairs_apply_to_derived_labels_until_nothing_changes():
    # The dog's canine adds the stone, and that the cat.
    pairs = pairs_of((CANINE, STONE), (STONE, CAT))
    labels, _, _ = by_rules((DOG, 1.0), pairs=pairs)
    assert [(x.index, x.rule, x.parent) for x in labels] == [
        (ANIMAL, ANCESTOR, DOG),
        (CANINE, ANCESTOR, DOG),
        (DOG, ANNOTATED, DOG),
        (CAT, CO_OCCURRENCE, STONE),
        (STONE, CO_OCCURRENCE, CANINE),
    ]


def test_a_surer_pair_raises_an_annotated_label():
    labels, _, hidden = by_rules(
        (STONE, 1.0), (CAT, 0.75, MACHINE), pairs=pairs_of((STONE, CAT))
    )
    assert labels[1] == (CAT, 1.0, CO_OCCURRENCE, STONE, HUMAN)
    assert hidden == [False, True]


def test_of_co_occurring_classes_the_lowest_claims_their_ancestors():
    pairs = pairs_of((STONE, CANINE), (STONE, DOG))
    labels, _, _ = by_rules((STONE, 1.0), pairs=pairs)
    assert [(x.index, x.rule, x.parent) for x in labels[:3]] == [
        (ANIMAL, ANCESTOR, DOG),
        (CANINE, ANCESTOR, DOG),
        (DOG, CO_OCCURRENCE, STONE),
    ]


def test_a_ring_of_pairs_and_ancestors_still_ends_in_the_annotation():
    # STONE adds CANINE, that CAT, and that DOG, which is below CANINE.
    pairs = pairs_of((STONE, CANINE), (CANINE, CAT), (CAT, DOG), (DOG, STONE))
    labels, _, _ = by_rules((STONE, 1.0), pairs=pairs)
    assert [x.parent for x in labels] == [CANINE, STONE, CAT, CANINE, STONE]


def test_rules_can_be_switched_off():
    row, pairs = [(DOG, 1.0)], pairs_of((DOG, STONE), (CANINE, CAT))

    def labelled(*rules):
        found, _, _ = by_rules(*row, pairs=pairs, rules=(ANNOTATED, *rules))
        return [label.index for label in found]

    assert labelled() == [DOG]
    assert labelled(ANCESTOR) == [ANIMAL, CANINE, DOG]
    assert labelled(CO_OCCURRENCE) == [DOG, STONE]
    assert labelled(ANCESTOR, CO_OCCURRENCE) == [0, 1, 2, 3, 4]


def test_sources_can_be_switched_off():
    row = [(DOG, 1.0, MACHINE), (CAT, 1.0), (STONE, 0.0, MACHINE)]
    labels, absent, hidden = by_rules(*row, sources=[HUMAN])
    assert [label.index for label in labels] == [ANIMAL, CAT]
    assert absent == []
    assert hidden == [True, False, False]
    assert by_rules(*row, sources=[])[0] == []


def test_read_only_columns_are_taken():
    annotations = said([(DOG, 1.0)])
    for column in vars(annotations).values():
        column.flags.writeable = False
    labels = LabelRules(TREE).label(annotations).labels
    assert labels.ids.tolist() == [ANIMAL, CANINE, DOG]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_confidence": 0.0}, r"over 0 .*received: 0\.0"),
        ({"min_confidence": float("nan")}, "received: nan"),
        ({"rules": (ANCESTOR,)}, r"ANNOTATED .*received: \['ANCESTOR'\]"),
        ({"pairs": pairs_of((0, 5))}, "allowed: 0 to 4"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        LabelRules(TREE, **options)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((5, 1.0), "-1 to 4; received: 5 to 5"),
        ((-2, 1.0), "received: -2 to -2"),
        ((0, 1.5), "0 to 1; received: 1.5"),
        ((0, -0.5), "received: -0.5"),
        ((0, float("nan")), "received: nan"),
    ],
)
def test_bad_values_are_refused(row, message):
    with pytest.raises(InputError, match=message):
        LabelRules(TREE).label(said([row]))


def test_columns_of_unequal_length_are_refused():
    annotations = said([(DOG, 1.0)])
    short = Annotations(np.array([0, 2]), *list(vars(annotations).values())[1:])
    with pytest.raises(InputError, match=r"\[2\] for \(1, 1, 1\)"):
        LabelRules(TREE).label(short)


def test_unclosed_labels_are_found():
    dog = Label(DOG, 1.0, ANNOTATED, DOG, HUMAN)
    weak = Label(ANIMAL, 0.5, ANNOTATED, ANIMAL, HUMAN)
    labels = columns_of(weak, dog, weak, dog, row_splits=[0, 2, 2, 3, 4])
    assert LabelRules(TREE).find_unclosed(labels) == [
        (0, DOG, ANIMAL),
        (0, DOG, CANINE),
        (3, DOG, ANIMAL),
        (3, DOG, CANINE),
    ]
    off = LabelRules(TREE, rules=(ANNOTATED, CO_OCCURRENCE))
    assert off.find_unclosed(labels) == []


def test_unclosed_labels_of_an_unknown_class_are_refused():
    labels = columns_of(Label(-1, 1.0, ANNOTATED, 0, HUMAN))
    with pytest.raises(InputError, match="0 to 4; received: -1"):
        LabelRules(TREE).find_unclosed(labels)
