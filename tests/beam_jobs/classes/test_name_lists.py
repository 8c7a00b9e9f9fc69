import pytest

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_choices import summarise
from beam_jobs.classes.class_mapping import map_classes, visible_classes
from beam_jobs.classes.hints import Hints
from beam_jobs.classes.name_lists import (
    judge_names,
    read_names,
    without_numbers,
)
from beam_jobs.errors import InputError

_ENGLISH = ["car", "bus", "tree"]
GERMAN = ["Hund", "Katze", "Gift", "Rock", "Baum", "Vogel"]


@pytest.mark.parametrize(
    ("names", "english", "proper"),
    [
        (["cat", "dog", "hoverboard"], True, False),
        (["Cat", "dog", "Person"], True, False),
        (["cup", "laptop", "Starbucks", "Leica", "Puma"], True, True),
        (GERMAN, False, False),
        (["狗", "猫", "长颈鹿"], False, False),
        (["GoPro", "ThinkPad", "XPS 13"], True, False),
    ],
)
def test_a_list_tells_its_language_and_its_proper_names(names, english, proper):
    found = judge_names(names, wn.load_wordnet())
    assert (found.english, found.proper) == (english, proper)


def mapped(words, **hints):
    wordnet = wn.load_wordnet()
    lists = {"csv": judge_names(words, wordnet)}
    found = map_classes(
        {f"csv:{n}": n for n in words}, Hints(lists=lists, **hints)
    )
    return {c.display_name: (c.wnid, c.rule) for c in found}


@pytest.mark.parametrize(
    ("names", "english", "sure"),
    [
        (["Hund", "Gift"], False, False),
        (["pain", "chat", "chien"], False, False),
        (["cane", "gatto"], False, False),
        (["chat"], True, False),
        (["Rock", "Hose", "Bluse"], True, False),
        (["dog", "ロケット"], True, False),
        (["cat", "dog", "hoverboard"], True, False),
        (["Person", "Hardhat", "NO-Hardhat"], True, True),
        (["mask", "no_mask"], True, False),
    ],
)
def test_few_names_are_english_only_where_most_can_be_seen(
    names, english, sure
):
    wordnet = wn.load_wordnet()
    visible = visible_classes(wordnet)
    found = judge_names(names, wordnet, lambda s: visible(wn.wnid_of(s)))
    assert (found.english, found.sure) == (english, sure)


def test_an_unsure_name_among_few_has_no_kind():
    wordnet = wn.load_wordnet()
    for names, parent in (["chat"], ""), (["chat", *_ENGLISH], "n01525720"):
        hints = Hints(lists={"csv": judge_names(names, wordnet)})
        found = map_classes({f"csv:{n}": n for n in names}, hints)
        choice = next(c for c in found if c.display_name == "chat")
        assert (choice.rule, choice.parent) == ("ambiguous", parent)


def test_several_labels_in_one_have_no_kind():
    wordnet = wn.load_wordnet()
    names = ["dog", "cat", "dog cat", "wild cat"]
    hints = Hints(lists={"csv": judge_names(names, wordnet)})
    found = map_classes({f"csv:{n}": n for n in names}, hints)
    rules = {c.display_name: (c.rule, c.parent) for c in found}
    assert rules["dog cat"] == ("own", "")
    assert rules["cat"][0] == "lemma"


def test_few_names_are_said_with_what_they_are():
    gloss = "a stick that people can lean on (or so)"
    cane = {**row("cane", "n02949202", "lemma"), "gloss": gloss}
    assert summarise([cane])[-1] == (
        "  read as English: cane (a stick that people can lean ...)"
    )
    assert len(summarise([cane] * 10)) == 1


def test_no_word_of_another_language_is_english_by_chance():
    assert mapped(GERMAN)["Rock"] == ("own:rock", "foreign")


def test_brands_are_not_the_animals_they_are_named_for():
    found = mapped(["shoe", "camera", "Puma", "Adidas", "Pepsi"])
    assert found["Puma"] == ("own:puma", "own")
    assert found["Pepsi"] == ("n07928790", "lemma")
    assert found["shoe"][1] == "lemma"


def test_names_of_another_language_by_its_wordnet(tmp_path):
    path = tmp_path / "wn-data-deu.tab"
    path.write_text(
        "# German\tdeu\n02084071-n\tdeu:lemma\tHund\n"
        "02121620-n\tlemma\tKatze\n14820180-n\tlemma\tGift\n"
        "02084071-n\tdeu:def\tein Tier\n01835496-v\tlemma\tGehen\n"
    )
    names = read_names([str(path)])
    assert names["hund"] == ("n02084071",)
    assert "gehen" not in names
    assert mapped(["Hund", "katze", "Rock"], names=names) == {
        "Hund": ("n02084071", "names"),
        "katze": ("n02121620", "names"),
        "Rock": ("own:rock", "foreign"),
    }
    path.write_text("Hund,dog\n")
    with pytest.raises(InputError, match="Open Multilingual WordNet"):
        read_names([str(path)])


def row(name, wnid, rule, merged="", images="1"):
    return {
        "display_name": name,
        "wnid": wnid,
        "rule": rule,
        "labels": wnid,
        "merged_with": merged,
        "images": images,
    }


def test_last_lines_say_what_names_became():
    rows = [
        row("dog", "n02084071", "lemma", merged="csv:Dog"),
        row("Dog", "n02084071", "lemma", merged="csv:dog"),
        row("GoPro", "own:gopro", "own", images="3"),
        row("x", "", "class_map"),
    ]
    assert summarise(rows, "c.tsv")[:3] == [
        "4 names: 2 exact, 1 own classes, 2 share a class, 1 without; "
        "see c.tsv",
        "  without a class: x (1)",
        "  not in WordNet, own classes: GoPro (3)",
    ]
    foreign = [row(n, f"own:{n}", "foreign") for n in ("a", "b")]
    assert "none of the names is English" in summarise(foreign)[-1]


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["0", "1"], "all names are numbers: --class-names FILE"),
        (["haze primary", "clear primary", "clear haze"], "between? haze"),
        (["dog", "cat", "dog cat", "bird dog"], "between? dog cat: --label"),
        (["red car", "blue car", "stop sign"], "--class-map FILE"),
    ],
)
def test_names_that_are_none_are_said(names, advice):
    rows = [row(n, f"own:{n}", "ambiguous") for n in names]
    assert advice in summarise(rows)[-1]


def test_running_numbers_go_where_all_names_have_one():
    numbered = {"folders:001.ak47": "001.ak47", "folders:7-dog": "7-dog"}
    plain = without_numbers(numbered)
    assert plain == {"folders:001.ak47": "ak47", "folders:7-dog": "dog"}
    mixed = {**numbered, "folders:cat": "cat", "csv:1_one": "1_one"}
    assert without_numbers(mixed) == mixed
    digits = {"csv:1-2": "1-2", "csv:3": "3", "csv:4": "4"}
    assert without_numbers(digits) == digits
