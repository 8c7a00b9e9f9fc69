"""Tests of model.transfer.class_folders."""

import pytest

from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from model.transfer import class_folders
from model.transfer.options import ClassifyOptions
from tests.helpers.datasets import read_examples
from tests.helpers.images import noise_image

NAMES = ("001.crane", "002.Stop Sign", "n02084071")


def write(folder, names=NAMES, images=5, start=0):
    """Writes images, no two of them alike."""
    for place, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(images):
            content = noise_image(start + 100 * place + i, (48, 48))
            (folder / name / f"{i}.jpg").write_bytes(content)


def listed(folder, **options):
    return class_folders.list_images(
        ClassifyOptions(folder=str(folder), **options)
    )


def counts(images):
    return {name: len(found) for name, found in images.items()}


def test_so_many_are_drawn_the_same_each_time(tmp_path):
    write(tmp_path)
    found = listed(tmp_path, train_per_class=3)
    assert counts(found.train) == dict.fromkeys(NAMES, 3)
    assert counts(found.held_out) == dict.fromkeys(NAMES, 2)
    for name in NAMES:
        assert not set(found.train[name]) & set(found.held_out[name])
    assert found == listed(tmp_path, train_per_class=3)
    assert found != listed(tmp_path, train_per_class=3, seed=1)
    fewer = listed(tmp_path, train_per_class=3, test_per_class=1)
    assert fewer.train == found.train
    assert counts(fewer.held_out) == dict.fromkeys(NAMES, 1)


def test_ids_are_those_of_the_folders_and_not_of_wordnet(tmp_path):
    write(tmp_path)
    found = listed(tmp_path, train_per_class=1)
    ids = ("own:crane", "own:stop_sign", "n02084071")
    assert found.ids == dict(zip(NAMES, ids, strict=True))


@pytest.mark.parametrize("below", ["test", "val"])
def test_a_split_that_is_given_is_kept(tmp_path, below):
    write(tmp_path / "train", images=2)
    write(tmp_path / below, images=1, start=50)
    found = listed(tmp_path)
    assert counts(found.train) == dict.fromkeys(NAMES, 2)
    assert counts(found.held_out) == dict.fromkeys(NAMES, 1)
    # The same, named one by one.
    assert found == listed(tmp_path / "train", test=str(tmp_path / below))


def test_clutter_is_no_class(tmp_path):
    write(tmp_path, ("a", "b", "257.clutter", "BACKGROUND_Google"))
    found = listed(tmp_path, train_per_class=1)
    assert list(found.train) == ["a", "b"]
    names = {"257.clutter", "BACKGROUND_Google"}
    assert set(found.left_out) == {str(tmp_path / name) for name in names}


@pytest.mark.parametrize(
    ("names", "options", "wrong"),
    [
        (("a",), {}, "a folder for each class, at least two; received: 1"),
        (("a", "1.A"), {}, "two folders are one class, own:a: '1.A' and 'a'"),
        (("a", "-"), {}, "the folder '-' has no name for a class"),
        (NAMES, {}, "has 5 images; 31 at least are needed for --train-per"),
        (NAMES, {"test": "none"}, "no such folder: none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, names, options, wrong):
    write(tmp_path, names)
    with pytest.raises(InputError, match=wrong):
        listed(tmp_path, **options)


def test_a_class_without_images_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="1 classes without an image: empty"):
        listed(tmp_path)


def test_classes_of_one_split_alone_are_named(tmp_path):
    write(tmp_path / "train", images=1)
    write(tmp_path / "test", NAMES[:2], images=1, start=50)
    with pytest.raises(InputError, match="train alone has the classes n02084"):
        listed(tmp_path)


def test_each_image_has_the_one_class_of_its_folder(tmp_path):
    write(tmp_path / "raw")
    found = listed(tmp_path / "raw", train_per_class=3)
    out = tmp_path / "dataset"
    manifest = class_folders.build(found, out, print)
    images = {name: split["images"] for name, split in manifest.splits.items()}
    assert images == {"train": 9, "validation": 6}
    examples = read_examples(out)
    assert len(examples) == 15
    order = sorted(found.ids.values())
    for image_id, features in examples.items():
        name = image_id.split("/")[-2]
        [label] = features[records.LABEL_ID].tolist()
        assert order[label] == found.ids[name]
    # There already, the second time.
    before = (out / dataset_folder.MANIFEST).stat().st_mtime_ns
    class_folders.build(found, out, print)
    assert (out / dataset_folder.MANIFEST).stat().st_mtime_ns == before
