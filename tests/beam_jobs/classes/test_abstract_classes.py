import pytest

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.abstract_classes import is_abstract, load_rules
from beam_jobs.errors import InputError

DOG, EVENT, PERSON = "n02084071", "n00029378", "n00007846"
HEADER = "wnid\tverdict\tscope\treason\tname\n"


@pytest.fixture(scope="module")
def wordnet():
    return wn.load_wordnet()


def rules(tmp_path, *rows):
    path = tmp_path / "rules.tsv"
    path.write_text(HEADER + "".join("\t".join(r) + "\n" for r in rows))
    return load_rules(path)


@pytest.mark.parametrize(
    ("wnid", "abstract"),
    [
        (DOG, False),
        (PERSON, False),
        (EVENT, True),
        ("n15236475", True),  # summer
        ("n09847727", True),  # believer, below person
        ("n08524735", False),  # city
        ("n08932568", True),  # Paris, a named city
        ("n09450163", False),  # the sun, in by a row of its own
        ("n00001740", True),  # entity, above the roots
        ("n06874185", False),  # traffic light, published below no root
        ("n04253437", False),  # soap, a compound that is sold in bars
        ("n02748618", True),  # aspirin, told by chemistry
        ("n06627006", False),  # a card, a thing in the hand
    ],
)
def test_shipped_rules(wordnet, wnid, abstract):
    assert is_abstract(wnid, load_rules(), wordnet) is abstract


def test_shipped_rows_name_their_classes(wordnet):
    shipped = load_rules()
    for wnid in {*shipped.subtrees, *shipped.classes, *shipped.instances}:
        wn.synset_of(wnid, wordnet)
        assert shipped.reasons[wnid]


def test_nearest_subtree_decides(tmp_path, wordnet):
    found = rules(
        tmp_path,
        ("n00015388", "out", "subtree", "", "animal"),
        ("n02083346", "in", "subtree", "", "canine"),
    )
    assert not is_abstract(DOG, found, wordnet)
    assert is_abstract("n02121620", found, wordnet)


def test_class_beats_subtree(tmp_path, wordnet):
    found = rules(
        tmp_path,
        ("n02083346", "in", "subtree", "", "canine"),
        (DOG, "out", "class", "", "dog"),
    )
    assert is_abstract(DOG, found, wordnet)
    assert not is_abstract("n02113335", found, wordnet), "poodle"


def test_without_rules_nothing_is_abstract(wordnet):
    assert not is_abstract(EVENT, load_rules(""), wordnet)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("dog", "in", "class", "", ""), "rules.tsv:2: a WordNet id"),
        ((DOG, "maybe", "class", "", ""), "verdict is one of in, out"),
        ((DOG, "in", "tree", "", ""), "scope is one of subtree, class"),
    ],
)
def test_malformed_rows_are_named(tmp_path, row, message):
    with pytest.raises(InputError, match=message):
        rules(tmp_path, row)


def test_second_rule_is_refused(tmp_path):
    row = (DOG, "in", "class", "", "")
    with pytest.raises(InputError, match="rules.tsv:3: .* second class rule"):
        rules(tmp_path, row, row)
