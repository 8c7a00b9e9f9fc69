"""Tests of model.start.sources."""

import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from model.start import sources


@pytest.mark.parametrize(
    ("files", "given", "wrong"),
    [
        ([], "none", "received: .*none, which does not exist"),
        (["a.txt"], "", "which is none of them"),
        (["a.ckpt.index"], "a.ckpt", r"has no a.ckpt.data-\* beside it"),
        (["a.index", "b.index"], "", "several checkpoints: name one of a"),
        (["saved_model.pb"], "", r"\(no assets/config.json\)"),
        (["config.json"], "", "has no finished epoch yet"),
    ],
)
def test_what_cannot_be_started_from_is_refused(tmp_path, files, given, wrong):
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=wrong):
        sources.find(str(tmp_path / given))


@pytest.mark.parametrize("given", ["a.ckpt", "a.ckpt.index", ""])
def test_a_checkpoint_is_found_by_prefix_index_and_folder(tmp_path, given):
    for name in ("a.ckpt.index", "a.ckpt.data-00000-of-00001", "a.ckpt.meta"):
        (tmp_path / name).write_text(name)
    found = sources.find(str(tmp_path / given))
    assert (found.kind, found.path) == (sources.RELEASED, tmp_path / "a.ckpt")
    assert len(found.files) == 2
    assert len(found.sha256) == 64


def test_the_newest_version_of_an_export_is_taken(tmp_path):
    for version in ("2", "10", "backup"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "saved_model.pb").touch()
    with pytest.raises(InputError, match=f"{tmp_path}/10 does not say"):
        sources.find(str(tmp_path))


def test_classes_are_the_same_by_their_ids():
    def vocabulary(*wnids):
        return Vocabulary(TagClass(i, w, w) for i, w in enumerate(wnids))

    ours = vocabulary("n00000001", "n00000002", "n00000003")
    theirs = vocabulary("n00000003", "n00000004", "n00000001")
    assert sources.common_classes(ours, theirs) == [(0, 2), (2, 0)]
    assert sources.common_classes(ours, None) == []


def test_a_class_that_had_no_labels_there_is_new():
    def vocabulary(*statuses):
        return Vocabulary(
            TagClass(i, f"n0000000{i}", "", status)
            for i, status in enumerate(("active", *statuses))
        )

    into = "merged:n00000000"
    theirs = vocabulary("removed", into, "removed", "active")
    ours = vocabulary("active", "active", "removed", into)
    pairs = sources.common_classes(ours, theirs)
    assert pairs == [(0, 0), (3, 3), (4, 4)]
