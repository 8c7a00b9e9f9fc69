import pytest

from beam_jobs.classes.choose_classes import (
    build_classes,
    save_report,
)
from beam_jobs.classes.class_mapping import ClassChoice
from beam_jobs.classes.load_classes import load_classes
from beam_jobs.classes.options import VocabularyOptions
from beam_jobs.errors import InputError

DOG, CAT, EVENT = "n02084071", "n02121620", "n00029378"
POODLE, CANINE = "n02113335", "n02083346"


def build(counts, **options):
    return build_classes({"imagenet": counts}, VocabularyOptions(**options))


def what(report, key):
    (row,) = (r for r in report if r.key == key)
    return row.what, row.images


def saved(tmp_path, counts):
    vocabulary, tree, _ = build(counts)
    vocabulary.save(tmp_path / "vocabulary.tsv")
    tree.save(tmp_path / "hierarchy.tsv", vocabulary)
    return str(tmp_path / "vocabulary.tsv"), vocabulary, tree


def test_adds_ancestors_up_to_the_papers_roots():
    vocabulary, tree, report = build({DOG: 3})
    wnids = [c.wnid for c in vocabulary]
    # dog -> canine -> carnivore -> ... -> animal -> living thing -> object
    assert "n00002684" in wnids
    assert "n00015388" in wnids
    assert "n00001740" not in wnids, "entity lies above the roots"
    assert len(tree.ancestors(vocabulary.index_of(DOG))) == len(wnids) - 1
    assert what(report, DOG) == ("added", 3)
    assert what(report, CANINE) == ("ancestor", 0)


def test_parents_come_first_and_order_is_stable():
    vocabulary, tree, _ = build({CAT: 1, DOG: 1})
    again, _, _ = build({DOG: 5, CAT: 2})
    assert vocabulary.classes == again.classes
    assert all(p < i for i, above in enumerate(tree.parents) for p in above)


def test_drops_abstract_and_rare_classes():
    vocabulary, _, report = build({DOG: 10, CAT: 9, EVENT: 99}, min_images=10)
    assert DOG in vocabulary
    assert CAT not in vocabulary
    assert EVENT not in vocabulary
    assert what(report, CAT) == ("too_few_images", 9)
    assert what(report, EVENT) == ("abstract", 99)


def test_without_rules_nothing_is_abstract():
    vocabulary, _, _ = build({EVENT: 1}, abstract_classes="")
    assert EVENT in vocabulary


def test_650_images_are_asked_of_open_images_alone():
    choices = [
        ClassChoice("oi:dog", "Dog", DOG, "lemma"),
        ClassChoice("oi:cat", "Cat", CAT, "lemma"),
        ClassChoice("oi:poodle", "Poodle", POODLE, "lemma"),
        ClassChoice("oi:none", "None", "", "none"),
    ]
    counts = {
        "imagenet": {DOG: 1},
        "open_images": {
            "oi:dog": 3,
            "oi:cat": 649,
            "oi:poodle": 650,
            "oi:none": 7,
        },
    }
    vocabulary, _, report = build_classes(counts, None, choices)
    assert DOG in vocabulary
    assert CAT not in vocabulary
    assert POODLE in vocabulary
    assert what(report, "oi:dog") == ("merged", 3)
    assert what(report, DOG) == ("added", 4)
    assert what(report, CAT) == ("too_few_images", 649)
    assert what(report, POODLE) == ("finer", 650)
    assert what(report, "oi:none") == ("unmapped", 7)


def test_base_is_used_as_it_is(tmp_path):
    path, base, tree = saved(tmp_path, {DOG: 1})
    vocabulary, hierarchy, report = build({CAT: 5}, base=path)
    assert vocabulary.classes == base.classes
    assert hierarchy.parents == tree.parents
    assert what(report, CAT) == ("not_in_base", 5)


def test_base_grows_at_its_end(tmp_path):
    path, base, tree = saved(tmp_path, {DOG: 1})
    counts = {POODLE: 5, DOG: 2, EVENT: 9}
    vocabulary, hierarchy, report = build(counts, base=path, grow=True)
    assert vocabulary.classes[:-1] == base.classes
    assert vocabulary[len(base)].wnid == POODLE
    assert hierarchy.parents[:-1] == tree.parents
    assert hierarchy.parents[-1] == (base.index_of(DOG),)
    assert what(report, POODLE) == ("finer", 5)
    assert what(report, EVENT) == ("abstract", 9)


def test_merges_and_removals(tmp_path):
    (tmp_path / "m.tsv").write_text(f"wnid\tinto\n{POODLE}\t{DOG}\n")
    (tmp_path / "r.tsv").write_text(f"wnid\n{CANINE}\n")
    vocabulary, _, report = build(
        {POODLE: 5, DOG: 2},
        merges=str(tmp_path / "m.tsv"),
        removals=str(tmp_path / "r.tsv"),
    )
    assert vocabulary.index_of(POODLE) == vocabulary.index_of(DOG)
    assert CANINE not in vocabulary
    assert what(report, DOG) == ("added", 7)
    assert what(report, POODLE) == ("merged", 5)


def test_nothing_left_is_an_error():
    with pytest.raises(InputError, match="no class is left: 1 annotated"):
        build({EVENT: 5})


def test_unknown_id_is_an_error():
    with pytest.raises(InputError, match="unknown WordNet id n99999999"):
        build({"n99999999": 5})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_images": 0}, "min_images must be at least 1; received: 0"),
        ({"grow": True}, "only a vocabulary that is there can grow"),
        ({"base": "v", "merges": "m"}, "merges must be left out, or given wi"),
        ({"base": "v", "removals": "r"}, "removals must be left out, or"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        VocabularyOptions(**options)


def test_report_is_a_table(tmp_path):
    _, _, report = build({DOG: 3, EVENT: 1})
    save_report(report, tmp_path / "report.tsv")
    lines = (tmp_path / "report.tsv").read_text().splitlines()
    assert lines[0] == "key\twnid\twhat\timages\tdetail\tname"
    assert lines[1] == f"{EVENT}\t{EVENT}\tabstract\t1\t\tevent"


def test_loads_a_saved_vocabulary_with_its_hierarchy(tmp_path):
    path, vocabulary, tree = saved(tmp_path, {DOG: 1})
    beside = load_classes(path)
    assert beside[0].classes == vocabulary.classes
    assert beside[1].parents == tree.parents
    (tmp_path / "hierarchy.tsv").unlink()
    assert load_classes(path)[1].parents == tree.parents


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="vocabulary: no such file"):
        load_classes(str(tmp_path / "v.txt"))
