import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.sources import folders, imagenet
from beam_jobs.sources.find_sources import read_part
from beam_jobs.sources.reader import AnnotatedImage, Context


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 9)
    return str(folder)


def read(folder, **options):
    found = folders.READER.find(folder, Context(**options))
    images = [item for part in found.parts for item in read_part(part)]
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


def test_a_table_says_the_classes_of_its_folder(tmp_path):
    folder = write(tmp_path, "train/1.jpg", "train/x/2.jpg", "val/dog/1.jpg")
    (tmp_path / "train" / "metadata.csv").write_text(
        'file_name,label,text\n./1.jpg,cat,"a cat, asleep"\nx/2.jpg,bird;cat,\n'
        "3.jpg,dog,\n"
    )
    found, images = read(folder)
    assert found.images == 3
    joined: dict[str, set] = {}
    for image in images:
        joined.setdefault(image.image_id, set()).update(image.classes)
    assert joined == {
        "folders/train/1.jpg": {"folders:cat"},
        "folders/train/x/2.jpg": {"folders:bird", "folders:cat"},
        "folders/train/3.jpg": {"folders:dog"},
        "folders/val/dog/1.jpg": {"folders:dog"},
    }
    assert {i.source for i in images} == {Source.FOLDERS}
    refs = {i.ref.path for i in images if i.image_id == "folders/train/1.jpg"}
    assert refs == {f"{folder}/train/1.jpg"}
    assert {i.ref for i in read(folder, labels_only=True)[1]} == {None}


def test_a_table_of_json_lines_above_all_images(tmp_path):
    folder = write(tmp_path, "1.jpg", "sub/2.jpg")
    lines = '{"file_name": "1.jpg", "labels": ["n02084071", "dog"]}\n'
    (tmp_path / "metadata.jsonl").write_text(lines)
    _, images = read(folder)
    assert classes(images[:2]) == {
        "folders/1.jpg": (),
        "folders/sub/2.jpg": (),
    }
    assert classes(images[2:]) == {
        "folders/1.jpg": ("n02084071", "folders:dog")
    }


def test_a_table_without_labels_leaves_the_folders_their_say(tmp_path):
    folder = write(tmp_path, "dog/1.jpg")
    (tmp_path / "metadata.csv").write_text("file_name,size\ndog/1.jpg,7\n")
    found, images = read(folder)
    assert classes(images) == {"folders/dog/1.jpg": ("folders:dog",)}
    (note,) = found.notes
    assert note.startswith("folders are the classes: ")
    assert "received: file_name,size" in note
    options = (("label_column", "size"),)
    _, told = read(folder, options=options)
    assert classes(told[1:]) == {"folders/dog/1.jpg": ("folders:7",)}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_captions_of_a_table_join_the_folders(tmp_path, suffix):
    rows = {"file_name": ["1.jpg"], "text": ["A zebra, asleep"]}
    for name in ("a/dog/1.jpg", "b/1.jpg", "b/2.jpg"):
        folder = write(tmp_path / name[0], name[2:])
        table = tmp_path / os.path.dirname(name) / f"metadata.{suffix}"
        if suffix == "csv":
            table.write_text('file_name,text\n1.jpg,"A zebra, asleep"\n')
        else:
            pq.write_table(pa.table(rows), table)
    zebra = ("captions:zebra.n.01",)
    found, (image, told) = read(str(tmp_path / "a"))
    assert found.notes == (
        f"{tmp_path}/a/dog/metadata.{suffix}: no labels: those of its "
        "captions are taken",
    )
    assert (image.classes, told.classes) == (("folders:dog",), zebra)
    assert told.image_id == image.image_id
    _, (one, two, told) = read(folder)
    assert (one.classes, two.classes, told.classes) == ((), (), zebra)


def test_a_table_of_parquet(tmp_path):
    folder = write(tmp_path, "a/1.jpg")
    table = pa.table({"file_name": ["1.jpg"], "label": ["dog"]})
    pq.write_table(table, tmp_path / "a" / "metadata.parquet")
    _, (image, told) = read(folder)
    assert (image.classes, told.classes) == ((), ("folders:dog",))
    assert told.image_id == image.image_id == "folders/a/1.jpg"
    assert told.ref.path == image.ref.path


def test_a_broken_table_is_refused(tmp_path):
    folder = write(tmp_path, "dog/1.jpg")
    (tmp_path / "metadata.csv").write_text("file_name,label\n1.jpg\n")
    with pytest.raises(InputError, match="metadata.csv:2: 1 fields, not 2"):
        read(folder)


def test_the_split_of_a_table_is_kept(tmp_path):
    folder = write(tmp_path, "val/1.jpg", "2.jpg")
    text = "file_name,label,split\n2.jpg,dog,test\nval/1.jpg,cat,\n"
    (tmp_path / "metadata.csv").write_text(text)
    found, images = read(folder, keep_splits=True)
    assert found.has_splits
    assert [i.split for i in images] == [None, "validation", "test", None]


def test_what_is_not_read_is_counted(tmp_path):
    names = ("dog/1.jpg", "dog/1.TXT", "dog/2.txt", "dog/2.mp4", "LICENSE")
    found, _ = read(write(tmp_path, *names))
    # A film among the images of a class becomes a dead letter.
    assert found.passed_over == {".txt": 2, "no suffix": 1}


@pytest.mark.parametrize("image", ["train/images/1.jpg", "images/val/1.jpg"])
def test_the_images_of_yolo_are_no_class(tmp_path, image):
    text = image.replace("images", "labels").replace("jpg", "txt")
    folder = write(tmp_path, image, text)
    with pytest.raises(InputError, match=f"needed; YOLO.*--yolo {folder}$"):
        read(folder)
