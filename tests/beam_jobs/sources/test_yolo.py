import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import yolo
from beam_jobs.sources.reader import AnnotatedImage, Context

BOX = " 0.5 0.5 0.2 0.2\n"
NAMES = "names: [cat, wine glass, n02084071]\n"


def write(folder, **texts):
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def find(folder, *options, **further):
    return yolo.READER.find(folder, Context(options, **further))


def read(folder, *options, **further):
    found = find(folder, *options, **further)
    return [i for part in found.parts for i in yolo.READER.read(part)]


def classes(images):
    return {image.image_id: image.classes for image in images}


def test_objects_become_positives_once_an_image(tmp_path):
    folder = write(
        tmp_path,
        data_yaml="path: /x\ntrain: ../images/train\n" + NAMES,
        images__train__1_jpg="x",
        labels__train__1_txt=f"1{BOX}2.0{BOX}1{BOX}\n",
        images__val__2_png="x",
        labels__val__2_txt="0 0.1 0.1 0.2 0.1 0.2 0.2\n",
        images__val__3_jpg="x",
        images__val__4_jpg="x",
        labels__val__4_txt="",
        labels_cache="x",
    )
    first, *others = read(folder)
    assert first == AnnotatedImage(
        "yolo/images/train/1.jpg",
        Source.YOLO,
        ("yolo:wine glass", "n02084071"),
        (1.0, 1.0),
        ImageRef(f"{folder}/images/train/1.jpg", 0, 1),
    )
    assert classes(others) == {
        "yolo/images/val/2.png": ("yolo:cat",),
        "yolo/images/val/3.jpg": (),
        "yolo/images/val/4.jpg": (),
    }
    kept = find(folder, keep_splits=True)
    assert kept.has_splits
    assert kept.passed_over == {".cache": 1}
    assert [p for p, _ in kept.files] == [
        f"{folder}/labels/train/1.txt",
        f"{folder}/labels/val/2.txt",
        f"{folder}/labels/val/4.txt",
        f"{folder}/data.yaml",
    ]
    splits = {i.split for i in read(folder, keep_splits=True)}
    assert splits == {"train", "validation"}
    assert {i.ref for i in read(folder, labels_only=True)} == {None}


@pytest.mark.parametrize(
    "names",
    [
        {"obj_names": "cat\nwine glass\n"},
        {"classes_txt": "cat\nwine glass"},
        {"a_yml": "names:\n  0: cat\n  1: wine glass\n"},
        {"a_yaml": "names: {'0': cat, '1': wine glass}\n"},
    ],
)
def test_names_are_found_and_labels_may_lie_beside(tmp_path, names):
    folder = write(tmp_path, obj__1_JPG="x", obj__1_txt=f"1{BOX}", **names)
    assert classes(read(folder)) == {"yolo/obj/1.JPG": ("yolo:wine glass",)}


def test_names_may_be_given(tmp_path):
    folder = write(tmp_path, a_jpg="x", a_txt=f"0{BOX}", n__own_txt="bird\n")
    given = ("class_names", f"{folder}/n/own.txt")
    assert classes(read(folder, given)) == {"yolo/a.jpg": ("yolo:bird",)}


def test_malformed_lines_become_rejections(tmp_path):
    bad = ["dog 1 2 3 4", "0 0.5 0.5", "0.5" + BOX, "-1" + BOX, "3" + BOX]
    bad += ["nan" + BOX]
    text = f"1{BOX}" + "\n".join(line.strip() for line in bad)
    folder = write(tmp_path, data_yaml=NAMES, a_jpg="x", a_txt=text)
    *rejected, image = read(folder)
    assert image.classes == ("yolo:wine glass",)
    path = f"{folder}/a.txt"
    assert [r.item for r in rejected] == [f"{path}:{n}" for n in range(2, 8)]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_ROW}
    assert rejected[0].detail == (
        "'dog 1 2 3 4': a class's number and a box or outline are needed"
    )
    assert rejected[4].detail == "class 3: there are 3 names"


def test_a_label_file_that_is_no_text_is_a_rejection(tmp_path):
    folder = write(tmp_path, data_yaml=NAMES, a_jpg="x")
    (tmp_path / "a.txt").write_bytes(b"\xff")
    rejection, image = read(folder)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == Reason.MALFORMED_RECORD
    assert "UTF-8" in rejection.detail
    assert image.classes == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a_jpg": "x", "data_yaml": NAMES}, "no YOLO labels"),
        ({"a_jpg": "x", "a_txt": ""}, "no names of classes"),
        ({"a_jpg": "x", "a_txt": "", "b_yaml": "names: 3"}, "`names` as a l"),
        (
            {"a_jpg": "x", "a_txt": "", "b_yaml": "names: {0: a, 2: b}"},
            "a name for each number from 0",
        ),
        ({"a_jpg": "x", "a_txt": "", "b_yaml": "names: [a"}, "not a YAML"),
    ],
)
def test_other_folders_are_refused(tmp_path, files, message):
    with pytest.raises(InputError, match=message):
        find(write(tmp_path, **files))
