import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_published
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from tests.helpers.shared_data import TENCENT_DICTIONARY, needs_tencent


def diamond() -> Hierarchy:
    """0 above 1 and 2, both above 3; 4 apart."""
    return Hierarchy([(), (0,), (0,), (1, 2), ()])


def test_ancestors_through_both_sides():
    assert diamond().ancestors(3) == (0, 1, 2)
    assert diamond().ancestors(4) == ()


def test_descendants_children_roots_leaves():
    tree = diamond()
    assert tree.descendants(0) == (1, 2, 3)
    assert tree.children[0] == (1, 2)
    assert tree.roots == (0, 4)
    assert tree.is_leaf.tolist() == [False, False, False, True, True]


def test_depth_is_the_longest_path():
    # 3 is a child of 0 as well as of 2, which is a child of 1.
    tree = Hierarchy([(), (0,), (1,), (0, 2)])
    assert tree.depth.tolist() == [0, 1, 2, 3]


def test_forward_reference_is_closed():
    assert Hierarchy([(1,), (2,), ()]).ancestors(0) == (1, 2)


def test_cycle_is_refused():
    with pytest.raises(InputError, match="cycle: 1 -> 2 -> 3 -> 1$"):
        Hierarchy([(), (3,), (1,), (2,), (0,)])


def test_parent_out_of_range_is_refused():
    with pytest.raises(InputError, match="class 0 has parent 7"):
        Hierarchy([(7,)])


def test_deep_chain_needs_no_recursion():
    chain = Hierarchy([(), *[(i,) for i in range(3000)]])
    assert len(chain.ancestors(3000)) == 3000


def small_vocabulary() -> Vocabulary:
    wnids = {
        "n00015388": "animal",
        "n02083346": "canine, canid",
        "n02084071": "dog",
        "n02121620": "cat",
    }
    return Vocabulary(
        TagClass(i, wnid, name) for i, (wnid, name) in enumerate(wnids.items())
    )


def test_from_wordnet_skips_what_the_vocabulary_lacks():
    tree = Hierarchy.from_wordnet(small_vocabulary())
    # The dog is a canine and, through "domestic animal", an animal; the
    # animal is an ancestor of the canine and so no direct parent.
    assert tree.parents == ((), (0,), (1,), (0,))


def test_save_and_load(tmp_path):
    vocabulary = small_vocabulary()
    tree = Hierarchy([(), (0,), (0, 1), ()])
    tree.save(tmp_path / "h.tsv", vocabulary)
    loaded = Hierarchy.load(tmp_path / "h.tsv", vocabulary)
    assert loaded.parents == tree.parents
    assert loaded.fingerprint == tree.fingerprint


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("n00001740\t", "h.tsv:2: class n00001740 is not in the vocabulary"),
        ("n02084071\tn00001740", "h.tsv:2: parent n00001740 is not in"),
    ],
)
def test_load_refuses_unknown_class_and_orphan(tmp_path, row, message):
    (tmp_path / "h.tsv").write_text(f"wnid\tparent_wnid\n{row}\n")
    with pytest.raises(InputError, match=message):
        Hierarchy.load(tmp_path / "h.tsv", small_vocabulary())


def test_published_form(tmp_path):
    path = tmp_path / "dictionary.txt"
    path.write_text(
        "category_index\tcategory_id\tindex_of_parent_category\t"
        "category name\n"
        "0\tn02084071\t1\tdog, domestic dog\n"
        "1\tn00015388\t-1\tanimal\n"
    )
    vocabulary, tree = load_published(path)
    assert vocabulary[0].display_name == "dog"
    assert tree.parents == ((1,), ())


@needs_tencent
def test_published_hierarchy_has_the_papers_figures():
    vocabulary, tree = load_published(TENCENT_DICTIONARY)
    assert len(vocabulary) == 11166
    assert len(tree.roots) == 4
    assert tree.depth.max() == 16
    assert np.round(tree.depth.mean(), 4) == 7.4711
    assert tree.is_leaf.sum() == 9219
