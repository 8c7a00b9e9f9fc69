import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError

DOG = TagClass(0, "n02084071", "dog, domestic dog, Canis familiaris")
CAT = TagClass(1, "n02121620", "cat, true cat")


def test_looks_up_both_ways():
    vocabulary = Vocabulary([DOG, CAT])
    assert vocabulary.index_of("n02121620") == 1
    assert vocabulary[0].display_name == "dog"
    assert len(vocabulary) == 2
    assert "n02121620" in vocabulary


def test_save_and_load_keep_everything(tmp_path):
    vocabulary = Vocabulary([DOG, CAT])
    vocabulary.save(tmp_path / "v.tsv")
    loaded = Vocabulary.load(tmp_path / "v.tsv")
    assert loaded.classes == vocabulary.classes
    assert loaded.fingerprint == vocabulary.fingerprint


def test_three_columns_are_read_and_keep_their_fingerprint(tmp_path):
    path = tmp_path / "v.tsv"
    path.write_text(f"index\twnid\tname\n0\t{DOG.wnid}\t{DOG.name}\n")
    loaded = Vocabulary.load(path)
    assert loaded.classes == (DOG,)
    # SHA-256 of "0\tn02084071\tdog, domestic dog, Canis familiaris\n".
    assert loaded.fingerprint.startswith("3e3d626f4527")


def test_fingerprint_depends_on_order():
    turned = [TagClass(0, CAT.wnid, CAT.name), TagClass(1, DOG.wnid, DOG.name)]
    assert Vocabulary([DOG, CAT]).fingerprint != Vocabulary(turned).fingerprint


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "at least one class"),
        ([DOG, TagClass(1, DOG.wnid, "dog")], "stands twice.*n02084071"),
        ([CAT], "0 expected; received: 1"),
        ([TagClass(0, "dog", "dog")], "'n' and 8 digits.*'dog'"),
        ([TagClass(0, DOG.wnid, "dog", "gone")], "a status is.*'gone'"),
    ],
)
def test_refuses_bad_classes(classes, message):
    with pytest.raises(InputError, match=message):
        Vocabulary(classes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "v.tsv:1: the header must be"),
        ("index\twnid\tname\n0\tn02084071\n", r"v.tsv:2: 3 fields.*: 2"),
        ("index\twnid\tname\nx\tn02084071\tdog\n", "v.tsv:2: a whole number"),
    ],
)
def test_load_names_file_and_line(tmp_path, text, message):
    (tmp_path / "v.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        Vocabulary.load(tmp_path / "v.tsv")


def test_load_names_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Vocabulary.load(tmp_path / "v.tsv")


def test_unknown_class_is_named():
    with pytest.raises(InputError, match="n00000000 is not in the vocabulary"):
        Vocabulary([DOG]).index_of("n00000000")
