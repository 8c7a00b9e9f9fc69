"""Tests of model.transfer.class_tars."""

import os

import pytest

from beam_jobs.classes.load_classes import load_folder
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from model.transfer import class_tars
from model.transfer.options import ClassifyOptions
from tests.helpers.datasets import read_examples
from tests.helpers.images import noise_image
from tests.helpers.shared_data import FOLDER
from tests.helpers.tars import write_tar

# Goldfish and a shark: neither is the other's ancestor.
WNIDS = ("n01443537", "n01494475")
WORDS = "n01443537\tgoldfish, Carassius auratus\nn01494475\tbig hammerhead\n"


def images(wnid, count, start=0):
    """Returns images by name, no two of them alike."""
    first = 1000 * WNIDS.index(wnid) + start
    return {
        f"{wnid}_{i}.JPEG": noise_image(first + i, (48, 48))
        for i in range(start, start + count)
    }


def write(folder, count=5, start=0):
    folder.mkdir(parents=True)
    for wnid in WNIDS:
        write_tar(folder / f"{wnid}.tar", images(wnid, count, start))


def options(folder, **fields):
    return ClassifyOptions(folder=str(folder), **fields)


def built(made, out):
    assert class_tars.has_tars(made)
    manifest = class_tars.build(made, out, print)
    return {name: split["images"] for name, split in manifest.splits.items()}


def labels(out):
    """Returns the one label of each image by its id."""
    return {
        image_id: features[records.LABEL_ID].tolist()
        for image_id, features in read_examples(out).items()
    }


def test_of_tars_alone_a_split_is_drawn(tmp_path):
    write(tmp_path / "raw")
    (tmp_path / "words.txt").write_text(WORDS)
    made = options(tmp_path / "raw", train_per_class=3, test_per_class=1)
    out = tmp_path / "dataset"
    assert built(made, out) == {"train": 6, "validation": 2}
    vocabulary, hierarchy = load_folder(out)
    assert [c.wnid for c in vocabulary] == list(WNIDS)
    names = ["goldfish, Carassius auratus", "big hammerhead"]
    assert [c.name for c in vocabulary] == names
    assert [hierarchy.ancestors(i) for i in (0, 1)] == [(), ()]
    found = labels(out)
    assert len(found) == 8
    for image_id, label in found.items():
        wnid = image_id.removeprefix("imagenet/").partition("_")[0]
        assert label == [WNIDS.index(wnid)]
    # There already, the second time.
    before = (out / dataset_folder.MANIFEST).stat().st_mtime_ns
    built(made, out)
    assert (out / dataset_folder.MANIFEST).stat().st_mtime_ns == before


def test_tars_and_folders_of_a_split_are_read_where_they_lie(tmp_path):
    write(tmp_path / "learned", 3)
    for wnid in WNIDS:
        folder = tmp_path / "held" / wnid
        folder.mkdir(parents=True)
        for name, content in images(wnid, 2, 50).items():
            (folder / name).write_bytes(content)
    out = tmp_path / "dataset"
    made = options(tmp_path / "learned", test=str(tmp_path / "held"))
    assert built(made, out) == {"train": 6, "validation": 4}
    # WordNet's names, without a list.
    vocabulary, _ = load_folder(out)
    assert vocabulary[1].display_name == "hammerhead"
    given = tmp_path / "dataset-classes" / "given"
    assert os.readlink(given / "val") == str(tmp_path / "held")


def refused(made, tmp_path, match):
    assert class_tars.has_tars(made)
    with pytest.raises(InputError, match=match):
        class_tars.build(made, tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        (".tar", r"raw/\.tar is named by no synset, as n01443537\.tar is"),
        ("fish.tar", r"raw/fish\.tar is named by no synset"),
        ("n02084071.tar", r"raw/n02084071\.tar has no image"),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_tars_that_are_no_class_are_named(tmp_path, name, match, given):
    write(tmp_path / "raw")
    write(tmp_path / "held", 1, 50)
    for folder in ("raw", "held"):
        write_tar(tmp_path / folder / name, {"readme.txt": b"no image"})
    held = {"test": str(tmp_path / "held")} if given else {}
    made = options(tmp_path / "raw", train_per_class=2, **held)
    refused(made, tmp_path, match)


def test_what_else_is_wrong_is_named(tmp_path):
    raw = tmp_path / "raw"
    write(raw)
    made = options(raw)
    refused(made, tmp_path, "n01443537 has 5 images; 31 at least are needed")
    content = (raw / "n01494475.tar").read_bytes()
    # In the middle of the second header.
    (raw / "n01494475.tar").write_bytes(content[: len(content) // 2])
    refused(made, tmp_path, r"n01494475\.tar cannot be read: ")
    (raw / "n01494475.tar").unlink()
    refused(made, tmp_path, "a tar or folder for each synset, at least two")
    write(tmp_path / "held", 1, 50)
    both = options(raw, test=str(tmp_path / "held"))
    (raw / "n02084071").mkdir()
    refused(both, tmp_path, "held alone has the classes n01494475")
    (raw / "n01443537").mkdir()
    refused(both, tmp_path, r"n01443537 and .*n01443537\.tar are one class")


@pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not here")
def test_real_tars(tmp_path):
    source = FOLDER / "imagenet"
    raw = tmp_path / "images"
    raw.mkdir()
    for tar in sorted((source / "images").iterdir())[:3]:
        (raw / tar.name).symlink_to(tar)
    (tmp_path / "words.txt").symlink_to(source / "words.txt")
    made = options(raw, train_per_class=8, test_per_class=4)
    assert built(made, tmp_path / "dataset") == {"train": 24, "validation": 12}
    vocabulary, _ = load_folder(tmp_path / "dataset")
    assert vocabulary[0].name == "goldfish, Carassius auratus"
