import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.errors import InputError
from serving.traffic.tallies import EDGES, Tally, measures

# 0 is above 1 and 2, and 2 above 3.
WNIDS = ("n00000001", "n00000002", "n00000003", "n00000004")
HIERARCHY = Hierarchy([(), (0,), (0,), (2,)])
VOCABULARY = Vocabulary(TagClass(i, w, w) for i, w in enumerate(WNIDS))


def row(tags, scores=None, valid=True, **others):
    """Returns a row of all classes, of which some are tags."""
    return {
        "valid": valid,
        "wnids": list(WNIDS),
        "scores": scores or [0.9, 0.8, 0.7, 0.2],
        "is_tag": [c in tags for c in range(4)],
        **others,
    }


@pytest.fixture
def tally():
    return Tally(VOCABULARY, HIERARCHY)


def test_tags_and_subtrees(tally):
    for tags in ({3}, {0, 1}, {2, 3}, set()):
        tally.add(row(tags))
    tally.add(row({0}, valid=False))
    assert (tally.images, tally.invalid, tally.valid) == (5, 1, 4)
    assert tally.tags.tolist() == [1, 1, 1, 2]
    # Each image once, however many tags it has there.
    assert tally.subtrees.tolist() == [3, 1, 2, 2]
    assert tally.histograms["tags"][:4].tolist() == [1, 1, 2, 0]


def test_the_figures_of_an_image():
    found = measures(
        row({0, 2}, bytes=2000, height=40, width=80, brightness=9, contrast=3),
        [False, True, False, True],
    )
    assert found == pytest.approx(
        {
            "best_score": 0.9,
            "best_leaf_score": 0.8,
            "tags": 2,
            "mean_tag_score": 0.8,
            "pixels": 3200,
            "aspect": 2,
            "bytes_per_pixel": 0.625,
            "brightness": 9,
            "contrast": 3,
        }
    )
    # What is not known is not counted as 0.
    bare = measures(row(()), [True] * 4)
    assert {*bare} == {"best_score", "best_leaf_score", "tags"}
    assert measures({"scores": [], "is_tag": []}, [])["best_score"] == 0


def test_bins_begin_with_their_edge(tally):
    for brightness in (0, 7.9, 8, 255):
        tally.add(row((), brightness=brightness, contrast=0))
    counts = tally.histograms["brightness"]
    assert len(counts) == len(EDGES["brightness"]) + 1
    assert counts[[0, 1, -1]].tolist() == [2, 1, 1]


def test_only_the_models_classes(tally):
    assert tally.knows(row(()))
    assert not tally.knows({"wnids": ["n00000009"]})


def test_saved_and_loaded(tally, tmp_path):
    tally.add(row({1}, brightness=80, contrast=9))
    tally.add(row((), valid=False))
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    for path in (first, second):
        tally.save(path, {"split": "calibration"})
    assert first.read_bytes() == second.read_bytes()
    found, about = Tally.load(first, VOCABULARY, HIERARCHY)
    assert (found.images, found.invalid) == (2, 1)
    assert about["split"] == "calibration"
    assert (found.tags == tally.tags).all()
    assert (found.subtrees == tally.subtrees).all()
    for name, counts in tally.histograms.items():
        assert (found.histograms[name] == counts).all()


def test_other_files_are_refused(tally, tmp_path):
    path = tmp_path / "a.npz"
    tally.save(path, {})
    others = Vocabulary([TagClass(0, "n00000009", "x")])
    with pytest.raises(InputError, match="counts other classes"):
        Tally.load(path, others, Hierarchy([()]))
    whole = path.read_bytes()
    for content in (b"", b"no zip", whole[:200], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            Tally.load(path, VOCABULARY, HIERARCHY)
    np.savez(path, about=np.frombuffer(b"{}", np.uint8))
    with pytest.raises(InputError, match="cannot be read"):
        Tally.load(path, VOCABULARY, HIERARCHY)


def test_the_size_at_11166_classes(tmp_path):
    classes = 11166
    vocabulary = Vocabulary(
        TagClass(i, f"n{i:08d}", "x") for i in range(classes)
    )
    tally = Tally(vocabulary, Hierarchy([()] * classes))
    rng = np.random.default_rng(0)
    tally.tags += rng.zipf(1.5, classes).clip(max=5000)
    tally.subtrees += rng.zipf(1.5, classes).clip(max=5000)
    tally.save(tmp_path / "a.npz", {})
    assert (tmp_path / "a.npz").stat().st_size < 100_000
