import pytest

from beam_jobs.build_vocabulary import build_classes, load_classes
from beam_jobs.errors import InputError

DOG, CAT, EVENT = "n02084071", "n02121620", "n00029378"


def test_adds_ancestors_up_to_the_papers_roots():
    vocabulary, tree = build_classes({DOG: 3})
    wnids = [c.wnid for c in vocabulary]
    # dog -> canine -> carnivore -> ... -> animal -> living thing -> object
    assert "n00002684" in wnids
    assert "n00015388" in wnids
    assert "n00001740" not in wnids, "entity lies above the roots"
    assert len(tree.ancestors(vocabulary.index_of(DOG))) == len(wnids) - 1


def test_parents_come_first_and_order_is_stable():
    vocabulary, tree = build_classes({CAT: 1, DOG: 1})
    again, _ = build_classes({DOG: 5, CAT: 2})
    assert vocabulary.classes == again.classes
    assert all(p < i for i, above in enumerate(tree.parents) for p in above)


def test_drops_abstract_and_rare_classes():
    vocabulary, _ = build_classes({DOG: 10, CAT: 9, EVENT: 99}, min_images=10)
    assert DOG in vocabulary
    assert CAT not in vocabulary
    assert EVENT not in vocabulary


def test_nothing_left_is_an_error():
    with pytest.raises(InputError, match="no class is left: 1 annotated"):
        build_classes({EVENT: 5})


def test_unknown_id_is_an_error():
    with pytest.raises(InputError, match="unknown WordNet id n99999999"):
        build_classes({"n99999999": 5})


def test_loads_a_saved_vocabulary_with_its_hierarchy(tmp_path):
    vocabulary, tree = build_classes({DOG: 1})
    vocabulary.save(tmp_path / "vocabulary.tsv")
    alone = load_classes(str(tmp_path / "vocabulary.tsv"))
    assert alone[1].parents == tree.parents
    tree.save(tmp_path / "hierarchy.tsv", vocabulary)
    beside = load_classes(str(tmp_path / "vocabulary.tsv"))
    assert beside[0].classes == vocabulary.classes
    assert beside[1].parents == tree.parents


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="vocabulary: no such file"):
        load_classes(str(tmp_path / "v.txt"))
