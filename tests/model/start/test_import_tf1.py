"""Tests of model.start.import_tf1."""

import numpy as np
import pytest

from beam_jobs.classes.load_classes import load_folder
from beam_jobs.errors import InputError
from model.network.load_tagger import load_tagger
from model.start.import_tf1 import import_tf1
from tests.helpers.released_graph import ReleasedGraph

# Of ILSVRC's list, as it writes them.
LISTED = "n01440764 tench, Tinca tinca\nn02084071\nn02121808 domestic cat\n"


@pytest.fixture(name="checkpoint", scope="module")
def fixture_checkpoint(tmp_path_factory):
    """Returns the prefix of one with 3 classes, images and logits."""
    prefix = tmp_path_factory.mktemp("released") / "resnet.ckpt"
    images = np.random.default_rng(0).uniform(-1, 1, (2, 224, 224, 3))
    images = images.astype(np.float32)
    graph = ReleasedGraph((1, 1), (8, 16))
    return prefix, images, graph.save(prefix, images, 3)[1]


def test_the_run_is_like_any_other(checkpoint, tmp_path):
    prefix, images, logits = checkpoint
    (tmp_path / "list.txt").write_text(LISTED)
    run = import_tf1(str(prefix), str(tmp_path / "list.txt"), tmp_path / "run")
    tagger = load_tagger(run)
    np.testing.assert_allclose(tagger(images), logits, rtol=1e-4, atol=1e-5)
    vocabulary, hierarchy = load_folder(run)
    assert [c.wnid[-4:] for c in vocabulary] == ["0764", "4071", "1808"]
    assert vocabulary[0].name == "tench, Tinca tinca"
    # Of WordNet, where the list has none.
    assert vocabulary[1].display_name == "dog"
    assert len(hierarchy.parents) == 3


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (LISTED.rpartition("n021")[0], "has 3 classes, .*list.txt 2: name"),
        ("0\ttench\n", "list.txt:1: a line must begin with a WordNet id"),
        (LISTED.replace("02084071", "99999999"), "n99999999"),
    ],
)
def test_a_list_that_is_not_its_own_is_refused(
    checkpoint, tmp_path, text, wrong
):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(InputError, match=wrong):
        import_tf1(
            str(checkpoint[0]), str(tmp_path / "list.txt"), tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_a_folder_with_something_in_it_is_refused(checkpoint, tmp_path):
    with pytest.raises(InputError, match="is there already: name a new folder"):
        import_tf1(str(checkpoint[0]), "list.txt", tmp_path.parent)
