import pytest

from beam_jobs.classes.growth import (
    grow,
    read_additions,
    read_merges,
    read_removals,
    target_of,
)
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError

ANIMAL, CANINE, DOG, CAT = "n00015388", "n02083346", "n02084071", "n02121620"
POODLE = "n02113335"


def base() -> Vocabulary:
    wnids = {ANIMAL: "animal", CANINE: "canine", DOG: "dog", CAT: "cat"}
    return Vocabulary(
        TagClass(i, wnid, name) for i, (wnid, name) in enumerate(wnids.items())
    )


def test_additions_come_last_and_nothing_moves():
    grown = grow(base(), {POODLE: "poodle"}, removed=[CAT])
    assert [c.wnid for c in grown] == [ANIMAL, CANINE, DOG, CAT, POODLE]
    assert grown.index_of(POODLE) == 4
    assert CAT not in grown
    with pytest.raises(InputError, match=f"{CAT} is not in the vocabulary"):
        grown.index_of(CAT)
    assert [c.wnid for c in grown.active] == [ANIMAL, CANINE, DOG, POODLE]


def test_merged_class_resolves_to_its_target():
    grown = grow(base(), merged={DOG: CANINE, CANINE: ANIMAL})
    assert grown.index_of(DOG) == 0
    assert DOG in grown
    assert len(grown) == 4


def test_removed_class_comes_back_to_its_index():
    removed = grow(base(), removed=[DOG])
    assert grow(removed, {DOG: "dog"}).classes == base().classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"added": {DOG: "dog"}}, "in the vocabulary already"),
        ({"removed": [POODLE]}, "cannot be removed: it is not in"),
        ({"merged": {POODLE: DOG}}, "cannot be merged: it is not in"),
        ({"merged": {DOG: POODLE}}, f"into {POODLE}, which the vocabulary"),
        ({"merged": {DOG: CAT}, "removed": [CAT]}, "has removed"),
        ({"merged": {DOG: CAT}, "removed": [DOG]}, "both removed and merged"),
        ({"merged": {DOG: CAT, CAT: DOG}}, "merged in a circle"),
        ({"removed": [ANIMAL, CANINE, DOG, CAT]}, "one active class"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(InputError, match=message):
        grow(base(), **changes)


def test_status_survives_the_file_and_the_fingerprint(tmp_path):
    grown = grow(base(), merged={DOG: CANINE}, removed=[CAT])
    grown.save(tmp_path / "v.tsv")
    loaded = Vocabulary.load(tmp_path / "v.tsv")
    assert loaded.classes == grown.classes
    assert loaded.fingerprint == grown.fingerprint != base().fingerprint


def test_hierarchy_keeps_old_parents_and_links_new_classes():
    old = Hierarchy([(), (0,), (0,), (0,)])
    grown = grow(base(), {POODLE: "poodle"})
    assert old.grown(grown).parents == ((), (0,), (0,), (0,), (2,))


def test_hierarchy_passes_through_what_is_gone():
    old = Hierarchy.from_wordnet(base())
    assert old.parents == ((), (0,), (1,), (0,))
    removed = grow(base(), {POODLE: "poodle"}, removed=[CANINE])
    assert old.grown(removed).parents == ((), (), (0,), (0,), (2,))
    assert Hierarchy.from_wordnet(removed).parents == old.grown(removed).parents
    merged = grow(base(), {POODLE: "poodle"}, merged={DOG: CANINE})
    assert old.grown(merged).parents == ((), (0,), (), (0,), (1,))
    assert Hierarchy.from_wordnet(merged).parents == old.grown(merged).parents


def test_class_above_merged_into_one_below_makes_no_cycle():
    merged = grow(base(), merged={CANINE: DOG})
    expected = ((), (), (0,), (0,))
    assert Hierarchy.from_wordnet(merged).parents == expected
    old = Hierarchy.from_wordnet(base())
    assert old.grown(merged).parents == expected


def test_revived_class_is_linked_again():
    removed = grow(base(), removed=[DOG])
    tree = Hierarchy.from_wordnet(removed)
    assert tree.parents[2] == ()
    revived = grow(removed, {DOG: "dog"})
    assert tree.grown(revived).parents == ((), (0,), (1,), (0,))


def test_files(tmp_path):
    merges = tmp_path / "m.tsv"
    merges.write_text(f"wnid\tinto\n{DOG}\t{CANINE}\n")
    assert read_merges(merges) == {DOG: CANINE}
    removals = tmp_path / "r.tsv"
    removals.write_text(f"wnid\n{DOG}\n{DOG}\n")
    assert read_removals(removals) == [DOG]
    additions = tmp_path / "a.tsv"
    additions.write_text(f"wnid\n{DOG}\n")
    assert read_additions(additions) == ({DOG: ""}, {})
    additions.write_text(f"wnid\tname\tparent\nown:x\tX\t{DOG}\n{DOG}\t\t\n")
    assert read_additions(additions) == (
        {"own:x": "X", DOG: ""},
        {"own:x": DOG},
    )
    additions.write_text(f"wnid\tname\tparent\n{DOG}\tdog\town:x\n")
    with pytest.raises(InputError, match="a.tsv:2: a parent is given to"):
        read_additions(additions)
    merges.write_text("wnid\tinto\ndog\tcat\n")
    with pytest.raises(InputError, match="m.tsv:2: a class is a WordNet id"):
        read_merges(merges)


def test_target_follows_the_chain():
    assert target_of("a", {"a": "b", "b": "c"}) == "c"
    with pytest.raises(InputError, match="a -> b -> a"):
        target_of("a", {"a": "b", "b": "a"})
