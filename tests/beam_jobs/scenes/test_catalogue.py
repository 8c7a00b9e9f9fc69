import csv

import pytest
from fontTools.ttLib import TTFont

from beam_jobs.classes.wordnet import (
    hypernyms_of,
    load_wordnet,
    names_of,
    synset_of,
)
from beam_jobs.scenes.catalogue import (
    CATALOGUE_PATH,
    classes_of_themes,
    load_catalogue,
    mid_of,
)
from beam_jobs.scenes.drawing import find_font

BRANCHES = {
    "animal": "n00015388",
    "plant": "n00017222",
    "food": "n00021265",
    "edible fruit": "n07705931",
    "vehicle": "n04524313",
    "musical instrument": "n03800933",
    "clothing": "n03051540",
    "structure": "n04341686",
    "tool": "n04451818",
    "ball": "n02778669",
}


@pytest.fixture(scope="module")
def wordnet():
    return load_wordnet()


def ancestors(wnid, wordnet):
    synset = synset_of(wnid, wordnet)
    return {f"n{s.offset():08d}" for s in synset.closure(hypernyms_of)}


def test_number_of_classes():
    wnids = [c.wnid for c in load_catalogue()]
    assert len(wnids) == 88
    assert wnids == sorted(set(wnids))


def test_every_name_is_a_lemma_of_its_wordnet_noun(wordnet):
    for scene_class in load_catalogue():
        synset = synset_of(scene_class.wnid, wordnet)
        # morphy turns "Jeans", the usual name, into the lemma "jean".
        lemma = wordnet.morphy(scene_class.name.lower().replace(" ", "_"), "n")
        assert lemma in [n.lower() for n in synset.lemma_names()]
        assert scene_class.names == names_of(synset)


def test_no_class_is_an_ancestor_of_another(wordnet):
    wnids = {c.wnid for c in load_catalogue()}
    for wnid in wnids:
        assert not ancestors(wnid, wordnet) & wnids, wnid


def test_branches(wordnet):
    found = dict.fromkeys(BRANCHES, 0)
    for scene_class in load_catalogue():
        above = ancestors(scene_class.wnid, wordnet)
        for name, wnid in BRANCHES.items():
            found[name] += wnid in above
    assert all(count >= 3 for count in found.values()), found


def test_every_glyph_is_in_the_font_and_shows_one_class():
    characters = TTFont(find_font(), lazy=True).getBestCmap()
    glyphs = [g for c in load_catalogue() for g in c.glyphs]
    assert len(glyphs) == len(set(glyphs))
    assert [g for g in glyphs if ord(g) not in characters] == []
    assert all(c.glyphs for c in load_catalogue())


def test_themes_have_company():
    assert all(c.themes for c in load_catalogue())
    assert all(len(c) >= 4 for c in classes_of_themes().values())


def test_label_names_are_distinct_mids():
    # 2084071 = 1*32**4 + 31*32**3 + 19*32**2 + 7*32 + 7
    assert mid_of("n02084071") == "/m/01_m77"
    label_names = {c.label_name for c in load_catalogue()}
    assert len(label_names) == len(load_catalogue())


def test_table_is_plain_tsv():
    with CATALOGUE_PATH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert {len(row) for row in rows} == {5}
