import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.statistics import figures
from beam_jobs.statistics import page as statistics_page
from beam_jobs.statistics.counts import Statistics

ATTACK = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
VOCABULARY = Vocabulary(
    [
        TagClass(0, "n00015388", "animal, beast"),
        TagClass(1, "n02084071", "dog"),
        TagClass(2, "n03001627", ATTACK),
    ]
)
TREE = Hierarchy([(), (0,), ()])


def counts(annotated, ancestors, images):
    made = Statistics(len(annotated))
    made.images = images
    made.class_rules[:, Rule.ANNOTATED] = annotated
    made.class_rules[:, Rule.ANCESTOR] = ancestors
    made.rule_sources[:, Source.IMAGENET] = made.class_rules.sum(axis=0)
    return made


def render(splits=None, rejected=None, **options):
    if splits is None:
        splits = {
            "validation": counts([0, 1, 0], [1, 0, 0], 1),
            "train": counts([0, 1200, 3], [1200, 0, 0], 1203),
        }
    options = {
        "vocabulary": VOCABULARY,
        "figures": [],
        "hierarchy": TREE,
        "trainable_above": 100,
    } | options
    return statistics_page.render(splits, rejected=rejected or {}, **options)


class Page(HTMLParser):
    """All elements of a page, and the text inside scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.scripts = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._in_script = False

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def words(page):
    without = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", without).split())


def table_of(page):
    return json.loads(Page(page).scripts[0])


def test_totals():
    text = words(render(rejected={"not_an_image": 7, "malformed_row": 2}))
    assert "1,211 images in = 1,204 out + 7 rejected" in text
    assert "7 images and 2 rows or records" in text
    assert "2,405 labels" in text
    assert "3 classes, 3 with images" in text
    # animal and dog have 1,200 training images.
    assert "2 trainable classes, with more than 100 training images" in text


def test_every_rule_is_explained():
    assert "the parent of an annotated class" in words(render())


def test_class_table():
    table = table_of(render())
    assert table["heads"] == [
        "name",
        "id",
        "depth",
        "train, annotated",
        "train, derived",
        "validation, annotated",
        "validation, derived",
    ]
    assert table["rows"] == [
        ["animal, beast", "n00015388", 0, 0, 1200, 0, 1],
        ["dog", "n02084071", 1, 1200, 0, 1, 0],
        [ATTACK, "n03001627", 0, 3, 0, 0, 0],
    ]


def test_without_a_hierarchy_there_is_no_depth():
    assert "depth" not in table_of(render(hierarchy=None))["heads"]


def test_names_cannot_inject_html():
    page = Page(render(rejected={'"><img src=x>': 1}))
    assert not page.all("img")
    assert len(page.all("script")) == 2
    assert not [a for _, a in page.elements if "onerror" in a]


def test_only_our_script_may_run():
    page = Page(render())
    policy = next(
        a["content"] for a in page.all("meta") if "http-equiv" in a
    ).split("; ")
    digest = hashlib.sha256(page.scripts[1].encode()).digest()
    expected = base64.b64encode(digest).decode()
    assert f"script-src 'sha256-{expected}'" in policy
    assert "default-src 'none'" in policy


def test_nothing_is_loaded():
    page = Page(render(rejected={"not_an_image": 1}))
    assert not page.all("link")
    assert all("src" not in attrs for _, attrs in page.elements)
    links = {attrs["href"] for attrs in page.all("a")}
    assert links == {"statistics.json", "../dead_letters/not_an_image.jsonl"}


def test_worst_covered_first():
    text = words(render())
    least = text[text.index("Worst-covered") : text.index("All classes")]
    assert least.index("n03001627 3") < least.index("n00015388 1,200")


@pytest.mark.parametrize(
    "above, bands",
    [
        (100, ["0", "1 to 10", "11 to 100", "more than 100"]),
        (10, ["0", "1 to 10", "more than 10"]),
        (1, ["0", "1", "more than 1"]),
    ],
)
def test_coverage_bands(above, bands):
    train = counts([0, 1, 5, 10, 11, 100, 101], [0] * 7, 228)
    found = statistics_page._coverage(train, above)
    assert [name for name, _, _ in found] == bands
    assert sum(count for _, count, _ in found) == 7


def test_coverage_counts():
    train = counts([0, 1, 5, 10, 11, 100, 101], [0] * 7, 228)
    found = statistics_page._coverage(train, 100)
    assert [count for _, count, _ in found] == [1, 3, 2, 1]


def test_co_occurrence_pairs():
    train = counts([0, 5, 5], [5, 0, 0], 5)
    train.added_by_pair[2, 1] = 4
    assert "dog n02084071 4" in words(render({"train": train}))
    assert "Co-occurrence" not in words(render())


def test_licences_are_texts_from_outside():
    train = counts([0, 5, 5], [5, 0, 0], 5)
    train.add_licenses([b"CC BY", ATTACK.encode(), b"CC BY", b""])
    page = render({"train": train})
    assert "CC BY 2" in words(page) and "not known 2" in words(page)
    assert "<img" not in page
    assert "Licences" not in words(render())


def test_many_licences_are_cut():
    train = counts([0, 99, 0], [0, 0, 0], 99)
    train.add_licenses(str(i).encode() for i in range(99))
    text = words(render({"train": train}))
    assert "the first 50 of 99" in text and "not known" not in text


def test_figures_follow_the_scheme():
    train = counts([0, 5, 5], [5, 0, 0], 5)
    train.labels_per_image.update({2: 5})
    drawn = [
        figures.images_per_class({"train": train}, trainable_above=100),
        figures.labels_per_image({"train": train}),
    ]
    page = render({"train": train}, figures=drawn)
    assert len(Page(page).all("svg")) == 2
    assert "var(--first)" in page
    assert page == render({"train": train}, figures=drawn)


def test_no_images():
    text = words(render({}))
    assert "0 images in = 0 out + 0 rejected" in text
    assert "Nothing was rejected." in text


def test_a_full_vocabulary_stays_light():
    names = "great white shark, white shark, man-eater, man-eating shark"
    vocabulary = Vocabulary(
        TagClass(i, f"n{i:08}", names) for i in range(11166)
    )
    numbers = np.full(11166, 12345)
    splits = {
        name: counts(numbers, numbers, 12345)
        for name in ("train", "validation", "calibration")
    }
    tree = Hierarchy([(), *((i,) for i in range(15)), *[()] * 11150])
    page = render(splits, vocabulary=vocabulary, hierarchy=tree)
    assert len(page.encode()) < 3_000_000
