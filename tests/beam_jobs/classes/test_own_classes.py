import pytest

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.choose_classes import build_classes
from beam_jobs.classes.class_mapping import map_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_classes
from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.classes.own_classes import is_own, name_of, own_id
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError

SIGN = "n06794110"  # street sign
DOG = "n02084071"


def build(names, base=None, grow=False):
    choices = map_classes({f"csv:{n}": n for n in names}, {})
    options = VocabularyOptions(base=base, grow=grow)
    images = {f"csv:{n}": 1 for n in names}
    return build_classes({"csv": images}, options, choices)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Stop Sign", "own:stop_sign"),
        ("  stop-sign ", "own:stop_sign"),
        ("ＧｏＰｒｏ", "own:gopro"),
        ("长颈鹿", "own:长颈鹿"),
        ("Straße", "own:strasse"),
        ("a\tb, c|d", "own:a_b_c_d"),
        ("C++", "own:c++"),
        ("n02084071", "own:n02084071"),
        ("own:x", "own:own_x"),
        ("\u200b - ", ""),
    ],
)
def test_id_follows_from_the_name_alone(name, expected):
    found = own_id(name)
    assert found == expected
    assert is_own(found) == bool(found)
    # Stable: the id of what an id says is the id.
    assert not found or own_id(found.removeprefix("own:")) == found
    assert not wn.WNID_PATTERN.fullmatch(found)


def test_own_classes_lie_below_their_parent_in_vocabulary_and_hierarchy():
    vocabulary, hierarchy, report = build(["stop sign", "GoPro", "dog"])
    sign = vocabulary.index_of("own:stop_sign")
    gopro = vocabulary.index_of("own:gopro")
    assert SIGN in {vocabulary[i].wnid for i in hierarchy.ancestors(sign)}
    assert hierarchy.parents[gopro] == ()
    assert vocabulary[gopro].name == "GoPro"
    what = {r.wnid: r.what for r in report if is_own(r.wnid)}
    assert what == {"own:stop_sign": "added", "own:gopro": "added"}


def test_files_hold_own_classes_and_grow_by_them(tmp_path):
    vocabulary, hierarchy, _ = build(["GoPro", "dog"])
    vocabulary.save(tmp_path / "vocabulary.tsv")
    hierarchy.save(tmp_path / "hierarchy.tsv", vocabulary)
    base = str(tmp_path / "vocabulary.tsv")
    loaded, tree = load_classes(base)
    assert loaded.fingerprint == vocabulary.fingerprint
    assert tree.parents == hierarchy.parents
    grown, tree, _ = build(["GoPro", "stop sign"], base, grow=True)
    assert [c.wnid for c in grown][: len(loaded)] == [c.wnid for c in loaded]
    above = tree.parents[grown.index_of("own:stop_sign")]
    assert [grown[i].wnid for i in above] != []


def test_vocabulary_without_a_hierarchy_has_own_classes_as_roots():
    vocabulary = Vocabulary(
        [TagClass(0, DOG, "dog"), TagClass(1, "own:gopro", "GoPro")]
    )
    assert Hierarchy.from_wordnet(vocabulary).parents == ((), ())
    tree = Hierarchy.from_wordnet(vocabulary, own_parents={"own:gopro": DOG})
    assert tree.parents == ((), (0,))


def test_parents_in_a_circle_are_refused():
    vocabulary = Vocabulary(
        [TagClass(0, "own:a", "a"), TagClass(1, DOG, "dog")]
    )
    parents = {"own:a": "own:b", "own:b": "own:c", "own:c": "own:b"}
    with pytest.raises(InputError, match="in a circle: own:a"):
        Hierarchy.from_wordnet(vocabulary, own_parents=parents)


def test_name_of_any_class():
    wordnet = wn.load_wordnet()
    assert name_of("own:stop_sign", wordnet) == "stop sign"
    assert name_of(SIGN, wordnet) == "street sign"
