from itertools import combinations

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.cooccurrence.find_pairs import count_pairs, find_pairs
from beam_jobs.errors import InputError
from beam_jobs.labels.pairs import Pairs

ANIMAL, DOG, HUSKY, SLED = range(4)
TREE = Hierarchy([(), (ANIMAL,), (DOG,), ()])
WNIDS = ("n00015388", "n02084071", "n02109961", "n04235291")
VOCABULARY = Vocabulary(
    TagClass(i, wnid, name)
    for i, (wnid, name) in enumerate(
        zip(WNIDS, ("animal", "dog", "husky", "sled"), strict=True)
    )
)
HEADER = "wnid\tadds_wnid\tco\tn_i\tn_ij\n"


def counts_of(*rows, classes=4):
    splits = np.cumsum([0, *map(len, rows)])
    ids = np.array([i for row in rows for i in row], np.int32)
    ids.flags.writeable = False
    return count_pairs(splits, ids, classes)


def listed(pairs: Pairs) -> list[tuple[int, int]]:
    columns = (pairs.source_class.tolist(), pairs.added_class.tolist())
    return list(zip(*columns, strict=True))


def test_images_are_counted_by_class_and_by_pair():
    assert counts_of([3, 1], [], [1], [2, 1, 3]).toarray().tolist() == [
        [0, 0, 0, 0],
        [0, 3, 1, 2],
        [0, 0, 1, 1],
        [0, 0, 0, 2],
    ]


def test_a_class_named_twice_counts_once():
    counts = counts_of([3, 1, 3, 1])
    assert counts.diagonal().tolist() == [0, 1, 0, 1]
    assert counts[1, 3] == 1


def test_counts_of_parts_add_up_to_those_of_all_images():
    rng = np.random.default_rng(0)
    rows = [
        rng.choice(30, rng.integers(0, 8), False).tolist() for _ in range(60)
    ]
    parts = (rows[40:], rows[:10], rows[10:40])
    whole = sum(counts_of(*part, classes=30) for part in parts)
    assert (whole != counts_of(*rows, classes=30)).nnz == 0
    for i, j in combinations(range(30), 2):
        assert whole[i, j] == sum(i in row and j in row for row in rows)


def test_bad_counts_are_refused():
    with pytest.raises(InputError, match="0 to 3; received: -1 to 4"):
        counts_of([4, -1])


def test_a_pair_must_be_over_the_bound_in_its_own_direction():
    # CO(sled, dog) = 2 / 3, CO(dog, sled) = 2 / 4.
    counts = counts_of([SLED, DOG], [SLED, DOG], [SLED], [DOG], [DOG])
    pairs = find_pairs(counts, TREE)
    assert listed(pairs) == [(SLED, DOG)]
    assert (pairs.co.tolist(), pairs.n_i.tolist()) == ([2 / 3], [3])
    assert pairs.n_ij.tolist() == [2]
    assert listed(find_pairs(counts, TREE, min_co=0.4)) == [
        (DOG, SLED),
        (SLED, DOG),
    ]


def test_both_readings_of_related_classes():
    counts = counts_of([ANIMAL, HUSKY, SLED])
    assert listed(find_pairs(counts, TREE)) == [
        (ANIMAL, SLED),
        (HUSKY, SLED),
        (SLED, ANIMAL),
        (SLED, HUSKY),
    ]
    # Not (HUSKY, ANIMAL), which Rule A gives.
    assert listed(find_pairs(counts, TREE, reading="not_ancestor")) == [
        (ANIMAL, HUSKY),
        (ANIMAL, SLED),
        (HUSKY, SLED),
        (SLED, ANIMAL),
        (SLED, HUSKY),
    ]


def test_classes_of_few_images_add_nothing():
    counts = counts_of([SLED, DOG], [SLED, DOG], [SLED])
    found = find_pairs(counts, TREE, min_images=3)
    assert listed(found) == [(SLED, DOG)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reading": "both"}, "unrelated.*received: 'both'"),
        ({"min_co": 1.0}, "received: 1.0 and 1"),
        ({"min_images": 0}, "received: 0.5 and 0"),
        ({"hierarchy": Hierarchy([()])}, "of 4 classes .* of 1"),
    ],
)
def test_bad_bounds_are_refused(options, message):
    hierarchy = options.pop("hierarchy", TREE)
    with pytest.raises(InputError, match=message):
        find_pairs(counts_of([DOG, SLED]), hierarchy, **options)


def test_pairs_are_saved_by_wordnet_id(tmp_path):
    counts = counts_of([SLED, DOG], [SLED, DOG], [SLED], [DOG], [DOG])
    pairs = find_pairs(counts, TREE)
    pairs.save(tmp_path / "pairs.tsv", VOCABULARY)
    text = (tmp_path / "pairs.tsv").read_text()
    line = "n04235291\tn02084071\t0.6666666666666666\t3\t2\n"
    assert text == HEADER + line
    again = Pairs.load(tmp_path / "pairs.tsv", VOCABULARY)
    assert again.fingerprint == pairs.fingerprint
    assert listed(again) == listed(pairs)


def test_no_pairs_are_saved_and_read(tmp_path):
    pairs = find_pairs(counts_of(), TREE)
    pairs.save(tmp_path / "pairs.tsv", VOCABULARY)
    again = Pairs.load(tmp_path / "pairs.tsv", VOCABULARY)
    assert len(again) == 0
    assert again.fingerprint == pairs.fingerprint


def test_every_figure_is_in_the_fingerprint():
    columns = [np.array([value]) for value in (3, 1, 0.75, 4, 3)]
    other = [np.array([value]) for value in (1, 2, 0.8, 5, 2)]
    prints = {Pairs(*columns).fingerprint}
    for k in range(5):
        changed = [*columns[:k], other[k], *columns[k + 1 :]]
        prints.add(Pairs(*changed).fingerprint)
    assert len(prints) == 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("n04235291\tn02084071\t0.6\t3", "5 fields"),
        ("n04235291\tn99999999\t0.6\t3\t2", "class n99999999 is not in"),
        ("n04235291\tn04235291\t1.0\t3\t3", "n04235291 cannot add itself"),
        ("n04235291\tn02084071\t0.6\tx\t2", "whole number .*: 'x'"),
        ("n04235291\tn02084071\tx\t3\t2", "received: 'x', 2 and 3"),
        ("n04235291\tn02084071\tnan\t3\t2", "received: 'nan', 2 and 3"),
        ("n04235291\tn02084071\t1.5\t3\t2", "received: '1.5', 2 and 3"),
        ("n04235291\tn02084071\t0.6\t2\t3", "received: '0.6', 3 and 2"),
        ("n02084071\tn04235291\t0.6\t3\t2", "stands twice"),
    ],
)
def test_malformed_lines_are_refused_by_their_number(tmp_path, line, message):
    path = tmp_path / "pairs.tsv"
    first = "n02084071\tn04235291\t0.6\t3\t2\n"
    path.write_text(HEADER + first + line + "\n")
    with pytest.raises(InputError, match=rf"pairs\.tsv:3: .*{message}"):
        Pairs.load(path, VOCABULARY)
