import pytest

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_choices import save_choices
from beam_jobs.classes.class_map import ClassMap, MapRow, read_overrides
from beam_jobs.classes.class_mapping import (
    map_classes,
    read_shipped_overrides,
)
from beam_jobs.classes.hints import Hints
from beam_jobs.errors import InputError


def choice(name, overrides=None, wanted=None, **options):
    (found,) = map_classes({"coco:x": name}, overrides or {}, wanted, **options)
    return found.wnid, found.rule


@pytest.mark.parametrize(
    ("name", "wnid", "rule"),
    [
        ("Dog", "n02084071", "lemma"),
        ("Polar bear", "n02134084", "lemma"),
        ("hot dog", "n07697537", "reviewed"),
        ("Chopsticks", "n03025755", "inflected"),
        ("Wine glass", "n04592099", "compound"),
        ("Coffeemaker", "n03063338", "compound"),
        ("diningtable", "n03201208", "compound"),
        ("n02084071", "n02084071", "wnid"),
        ("aerosol.n.02", "n02682922", "wnid"),
        ("n02085620-Chihuahua", "n02085620", "wnid"),
        ("n99999999-dog", "own:n99999999_dog", "own"),
        ("Plate", "n03959485", "reviewed"),
        ("dollar_bill", "n13395897", "lemma"),
        ("soap", "n04253437", "lemma"),
        ("baby", "n09827683", "lemma"),
        ("", "", "none"),
    ],
)
def test_rules(name, wnid, rule):
    assert choice(name) == (wnid, rule)


@pytest.mark.parametrize(
    ("name", "class_id", "rule", "parent"),
    [
        ("Moths or moths", "own:moths_or_moth", "kind", "moth.n.01"),
        ("Pen/pencil", "own:pen_pencil", "kind", "writing_implement.n.01"),
        ("Dog bed", "own:dog_bed", "kind", "bed.n.01"),
        ("stop_sign", "own:stop_sign", "kind", "street_sign.n.01"),
        ("Stop signs", "own:stop_sign", "kind", "street_sign.n.01"),
        ("stop_sign.n.01", "own:stop_sign", "kind", "street_sign.n.01"),
        ("Cat furniture", "own:cat_furniture", "kind", "furniture.n.01"),
        ("safety vest", "own:safety_vest", "kind", "vest.n.01"),
        # Several senses of like weight, and what they have in common.
        ("keyboard", "own:keyboard", "ambiguous", "device.n.01"),
        ("crane", "own:crane", "ambiguous", ""),
        # Never past a denial, nor by splitting an unknown word.
        ("without_mask", "own:without_mask", "own", ""),
        ("no_helmet", "own:no_helmet", "own", ""),
        ("no entry sign", "own:no_entry_sign", "own", ""),
        ("not_a_cat", "own:not_a_cat", "own", ""),
        ("non-helmet", "own:non_helmet", "own", ""),
        ("un cover", "own:un_cover", "own", ""),
        ("scratch", "own:scratch", "ambiguous", ""),
        # Rather a deed, a property, or what no image shows.
        ("Stop", "own:stop", "ambiguous", ""),
        ("neutral", "own:neutral", "ambiguous", ""),
        ("smoke", "own:smoke", "ambiguous", ""),
        ("Road work", "own:road_work", "own", ""),
        ("Starbucks", "own:starbucks", "own", ""),
        ("MacBook Pro", "own:macbook_pro", "own", ""),
        ("ford mustang", "own:ford_mustang", "own", ""),
        ("rubber duck", "own:rubber_duck", "own", ""),
        ("长颈鹿", "own:长颈鹿", "own", ""),
    ],
)  # fmt: skip
def test_what_is_not_sure_stays_a_class_of_its_own(
    name, class_id, rule, parent
):
    (found,) = map_classes({"coco:x": name}, {})
    wordnet = wn.load_wordnet()
    above = wn.wnid_of(wordnet.synset(parent)) if parent else ""
    assert (found.wnid, found.rule, found.parent) == (class_id, rule, above)


def test_class_map_wins_by_key_or_by_name_in_any_spelling():
    rows = {"stop_sign": MapRow("own:sign_1", "n06794110"), "cat": MapRow("")}
    names = {"csv:Stop Sign": "Stop Sign", "coco:cat": "Cat", "voc:dog": "dog"}
    found = map_classes(names, Hints(class_map=ClassMap(rows)))
    assert [(c.wnid, c.rule, c.parent) for c in found] == [
        ("", "class_map", ""),
        ("own:sign_1", "class_map", "n06794110"),
        ("n02084071", "lemma", ""),
    ]


def test_class_of_the_vocabulary_that_wordnet_lacks_is_known_by_its_name():
    hints = Hints(vocabulary={"starbucks": "n90000001"})
    (found,) = map_classes({"csv:x": "Starbucks"}, hints)
    assert (found.wnid, found.rule) == ("n90000001", "vocabulary")


@pytest.mark.parametrize(
    ("name", "wnid"),
    [
        ("Tiger", "n02129604"),  # not a fierce person
        ("Leopard", "n02128385"),  # not its fur
        ("Banana", "n07753592"),  # the fruit, not the herb
        ("Alligator", "n01698434"),  # not its leather
        ("Turtle", "n01662784"),  # not a turtleneck
        ("Sombrero", "n04259630"),  # not an island
        ("Man", "n10287213"),  # a person whom everyone means
        ("Rose", "n12620196"),  # not a wine
    ],
)
def test_sense_is_one_that_a_picture_shows(name, wnid):
    assert choice(name)[0] == wnid


def test_qualifier_chooses_the_sense():
    assert choice("Bat (Animal)")[0] == "n02139199"
    assert choice("Bat (Club)")[0] == "n02806379"


def test_sense_that_another_source_annotates_is_preferred():
    crane = "n03126707"
    assert choice("Crane", preferred={crane}.__contains__)[0] == crane


def test_nearest_class_above_stands_in():
    # No ladder in this vocabulary, but the stairway above its stairs.
    stairway = "n04298308"
    assert choice("Ladder", wanted={stairway}.__contains__) == (
        stairway,
        "hypernym",
    )


def test_key_that_is_a_wordnet_id_stays():
    (found,) = map_classes({"n02084071": "anything"}, {})
    assert (found.wnid, found.rule) == ("n02084071", "wnid")


@pytest.mark.parametrize("key", ["coco:x", "x"])
def test_override_wins(key):
    assert choice("Dog", {key: "n02121620"}) == ("n02121620", "override")


def test_empty_override_leaves_a_class_out():
    assert choice("Dog", {"x": ""}) == ("", "override")


def test_reviewed_row_corrects_the_rules_and_can_be_overridden():
    (found,) = map_classes({"oi:/m/050gv4": "Plate"}, {})
    assert (found.wnid, found.rule) == ("n03959485", "reviewed")
    (found,) = map_classes(
        {"oi:/m/050gv4": "Plate"}, {"/m/050gv4": "n02084071"}
    )
    assert (found.wnid, found.rule) == ("n02084071", "override")


def test_reviewed_rows_name_their_classes():
    wordnet = wn.load_wordnet()
    for wnid, _ in read_shipped_overrides().values():
        assert not wnid or wn.synset_of(wnid, wordnet)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"coco:x": "n99999999"}, "unknown WordNet id n99999999"),
        ({"coco:y": "n02084071"}, "'coco:y', which no source has"),
    ],
)
def test_wrong_override_is_refused(overrides, message):
    with pytest.raises(InputError, match=message):
        choice("Dog", overrides)


def test_only_general_choices_are_inexact():
    names = {"a:1": "Dog", "coco:stop sign": "stop sign", "a:3": "no dog"}
    assert [c.exact for c in map_classes(names, {})] == [True, True, False]


def test_merged_keys_know_each_other():
    names = {"coco:dog": "dog", "oi:/m/0bt9lr": "Dog", "voc:cat": "cat"}
    merged = {c.key: c.merged_with for c in map_classes(names, {})}
    assert merged == {
        "coco:dog": ("oi:/m/0bt9lr",),
        "oi:/m/0bt9lr": ("coco:dog",),
        "voc:cat": (),
    }


def test_review_table_can_be_read(tmp_path):
    choices = map_classes({"oi:/m/0": "Dog", "oi:/m/1": "Exit vest"}, {})
    save_choices(choices, tmp_path / "review.tsv")
    rows = [
        line.split("\t")
        for line in (tmp_path / "review.tsv").read_text().splitlines()
    ]
    assert rows[0][:6] == [
        "key",
        "display_name",
        "wnid",
        "rule",
        "alternatives",
        "merged_with",
    ]
    assert rows[1][:4] == ["oi:/m/0", "Dog", "n02084071", "lemma"]
    assert "n02710044 andiron" in rows[1][4]
    assert rows[1][6] == "dog, domestic dog, Canis familiaris"
    assert rows[1][7].startswith("a member of the genus Canis")
    assert rows[2][:4] == ["oi:/m/1", "Exit vest", "own:exit_vest", "kind"]
    assert rows[2][4:9] == ["", "", "", "", "n04531873"]
    assert rows[2][9:] == ["own:exit_vest", ""]


def test_overrides_file(tmp_path):
    path = tmp_path / "o.csv"
    path.write_text("LabelName,WordNetId\n/m/0,n02084071\n/m/1,\n")
    assert read_overrides(str(path)) == {"/m/0": "n02084071", "/m/1": ""}
    path.write_text("LabelName,WordNetId\n/m/0,dog\n")
    with pytest.raises(InputError, match="o.csv:2"):
        read_overrides(str(path))
    path.write_text("a,b\n")
    with pytest.raises(InputError, match="o.csv:1"):
        read_overrides(str(path))
