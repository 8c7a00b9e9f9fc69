import pytest

from beam_jobs.class_mapping import map_classes, read_overrides, save_choices
from beam_jobs.errors import InputError


def choice(name, overrides=None, wanted=None):
    (found,) = map_classes({"/m/0": name}, overrides or {}, wanted)
    return found.wnid, found.rule


@pytest.mark.parametrize(
    ("name", "wnid", "rule"),
    [
        ("Dog", "n02084071", "lemma"),
        ("Polar bear", "n02134084", "lemma"),
        ("Chopsticks", "n03025755", "inflected"),
        ("Dog bed", "n02818832", "head"),
        ("Whiteboard xyz", "", "none"),
    ],
)
def test_rules(name, wnid, rule):
    assert choice(name) == (wnid, rule)


def test_first_visible_sense_wins():
    # Below the roots a bat is an animal first; the list also has the club.
    assert choice("Bat")[0] == "n02139199"


def test_vocabulary_decides_between_senses():
    lifting_device = "n03126707"
    assert choice("Crane", wanted={lifting_device}.__contains__) == (
        lifting_device,
        "lemma",
    )


def test_override_wins():
    assert choice("Dog", {"/m/0": "n02121620"}) == ("n02121620", "override")


def test_unknown_override_is_refused():
    with pytest.raises(InputError, match="unknown WordNet id n99999999"):
        choice("Dog", {"/m/0": "n99999999"})


def test_alternatives_stand_in_the_review_table(tmp_path):
    choices = map_classes({"/m/0": "Dog", "/m/1": "Nonesuch xyz"}, {})
    save_choices(choices, tmp_path / "review.tsv")
    lines = (tmp_path / "review.tsv").read_text().splitlines()
    assert lines[0].split("\t")[:4] == [
        "label_name",
        "display_name",
        "wnid",
        "rule",
    ]
    assert lines[1].startswith("/m/0\tDog\tn02084071\tlemma\tn10114209 ")
    assert lines[2] == "/m/1\tNonesuch xyz\t\tnone\t"


def test_overrides_file(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("LabelName,WordNetId\n/m/0,n02084071\n")
    assert read_overrides(str(path)) == {"/m/0": "n02084071"}
    path.write_text("LabelName,WordNetId\n/m/0,dog\n")
    with pytest.raises(InputError, match="o.csv:2"):
        read_overrides(str(path))
    path.write_text("a,b\n")
    with pytest.raises(InputError, match="o.csv:1"):
        read_overrides(str(path))
