import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.sources import folders, imagenet
from beam_jobs.sources.reader import AnnotatedImage, Context


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 9)
    return str(folder)


def read(folder, **options):
    found = folders.READER.find(folder, Context(**options))
    images = [item for p in found.parts for item in folders.READER.read(p)]
    return found, images


def classes(images):
    return {image.image_id: image.classes for image in images}


def test_the_last_folder_is_the_class(tmp_path):
    names = ("dog/1.jpg", "animals/cat/2.PNG", "dog/notes.txt", "dog/.3.jpg")
    names += ("dog/4.mp4",)
    folder = write(tmp_path / "a[1]", *names)
    found, images = read(folder)
    assert images[1] == AnnotatedImage(
        "folders/dog/1.jpg",
        Source.FOLDERS,
        ("folders:dog",),
        (1.0,),
        ImageRef(f"{folder}/dog/1.jpg", 0, 9),
    )
    assert images[0].classes == ("folders:cat",)
    assert [image.image_id for image in images[2:]] == ["folders/dog/4.mp4"]
    assert (found.images, found.notes) == (3, ())
    assert {i.ref for i in read(folder, labels_only=True)[1]} == {None}


def test_splits_above_the_classes_are_read_and_said(tmp_path):
    names = ("train/dog/1.jpg", "Val/dog/1.jpg", "test/2.jpg", "3.jpg")
    found, images = read(write(tmp_path, *names))
    assert classes(images) == {
        "folders/train/dog/1.jpg": ("folders:dog",),
        "folders/Val/dog/1.jpg": ("folders:dog",),
        "folders/test/2.jpg": (),
        "folders/3.jpg": (),
    }
    assert found.notes == (
        f"{tmp_path}: its split (Val, train) is not used: the images are "
        "split anew; --splits source keeps it",
    )
    assert {i.split for i in images} == {None}


def test_splits_above_the_classes_are_kept(tmp_path):
    names = ("train/dog/1.jpg", "Val/dog/1.jpg", "testing/cat/2.jpg", "d/3.jpg")
    found, images = read(write(tmp_path, *names), keep_splits=True)
    assert (found.has_splits, found.notes) == (True, ())
    assert {i.image_id: i.split for i in images} == {
        "folders/train/dog/1.jpg": "train",
        "folders/Val/dog/1.jpg": "validation",
        "folders/testing/cat/2.jpg": "test",
        "folders/d/3.jpg": None,
    }


def test_a_class_may_be_called_as_a_split(tmp_path):
    _, images = read(write(tmp_path, "train/1.jpg", "bus/1.jpg"))
    assert ("folders:train",) in classes(images).values()


def test_wordnet_ids_are_classes(tmp_path):
    folder = write(tmp_path, "train/n02084071/images/1.jpg")
    found, (image,) = read(folder)
    assert image.classes == found.wnids == ("n02084071",)


@pytest.mark.parametrize("names", [("1.jpg",), ("train/1.jpg",), ("d/1.py",)])
def test_a_folder_without_classes_is_refused(tmp_path, names):
    with pytest.raises(InputError, match="no folder a class"):
        read(write(tmp_path, *names))


def test_imagenet_says_how_it_is_read(tmp_path):
    folder = write(tmp_path, "dog/1.jpg")
    with pytest.raises(InputError, match=f"with --folders {folder}$"):
        imagenet.FOLDERS.find(folder, Context())
