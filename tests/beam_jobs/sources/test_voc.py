import re

import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.regions import DIFFICULT
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason
from beam_jobs.sources import voc
from beam_jobs.sources.reader import AnnotatedImage, Context

OBJECT = "<object><name>{}</name><difficult>1</difficult></object>"
PART = "<object><name>person</name><part><name>head</name></part></object>"
ENTITY = '<!DOCTYPE a [<!ENTITY x "dog">]><annotation>&x;</annotation>'


def annotation(*objects, filename="<filename>a.jpg</filename>"):
    return f"<annotation>{filename}{''.join(objects)}</annotation>"


def write(folder, **contents):
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    for name, text in contents.items():
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    return str(folder)


def read(folder, **options):
    parts = voc.READER.find(folder, Context(**options)).parts
    return [item for part in parts for item in voc.READER.read(part)]


def test_objects_become_positives_once_an_image(tmp_path):
    folder = write(
        tmp_path,
        a=annotation(OBJECT.format("dog"), PART, OBJECT.format("dog")),
        b=annotation(filename=""),
    )
    assert read(folder) == [
        AnnotatedImage(
            "voc/a.jpg",
            Source.VOC,
            ("voc:dog", "voc:person"),
            (1.0, 1.0),
            ImageRef(f"{folder}/JPEGImages/a.jpg"),
        ),
        AnnotatedImage(
            "voc/b.jpg", Source.VOC, ref=ImageRef(f"{folder}/JPEGImages/b.jpg")
        ),
    ]
    assert [image.ref for image in read(folder, labels_only=True)] == [
        None,
        None,
    ]


def test_archive_of_several_years(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        write(tmp_path / "VOCdevkit" / year, **{year: annotation()})
    assert [image.image_id for image in read(str(tmp_path))] == [
        "voc/VOCdevkit/VOC2007/a.jpg",
        "voc/VOCdevkit/VOC2012/a.jpg",
    ]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("<annotation><object>", "no element found"),
        ("", "no element found"),
        ("<html></html>", "received: <html>"),
        (annotation("<object></object>"), "an object without a name"),
        (
            annotation(f"<object><name>{'x' * 256}</name></object>"),
            "a label of 256 characters, at most 255",
        ),
        (annotation(filename="<filename>../a.jpg</filename>"), "no relative"),
        (ENTITY, "DTDForbidden"),
    ],
)
def test_malformed_files_become_rejections(tmp_path, text, detail):
    folder = write(tmp_path, a=text, b=annotation())
    bad, good = read(folder)
    assert good.image_id == "voc/a.jpg"
    assert bad.reason == Reason.MALFORMED_RECORD
    assert bad.item == f"{folder}/Annotations/a.xml"
    assert detail in bad.detail


def test_refuses_folders_without_annotations_or_images(tmp_path):
    with pytest.raises(InputError, match="nothing matches .*Annotations"):
        voc.READER.find(str(tmp_path), Context())
    folder = write(tmp_path, a=annotation())
    (tmp_path / "JPEGImages").rmdir()
    with pytest.raises(InputError, match="no such folder: .*JPEGImages"):
        voc.READER.find(folder, Context())
    assert voc.READER.find(folder, Context(labels_only=True)).images == 1


def test_annotations_beside_the_images(tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "a.xml").write_text(annotation())
    found = voc.READER.find(str(tmp_path), Context())
    images = [i for part in found.parts for i in voc.READER.read(part)]
    assert [(i.image_id, i.ref.path) for i in images] == [
        (f"voc/{split}/a.jpg", f"{tmp_path}/{split}/a.jpg")
        for split in ("train", "valid")
    ]
    assert found.image_folders == (f"{tmp_path}/train", f"{tmp_path}/valid")


def test_a_name_without_suffix_is_looked_up(tmp_path):
    name = "<filename>n02439033_1</filename>"
    texts = {f"n02439033_{i}": annotation(filename=name) for i in (1, 2, 3)}
    folder = write(tmp_path, **texts)
    for file in ("n02439033_1.JPEG", "n02439033_2.png", "n02439033_2.jpg"):
        (tmp_path / "JPEGImages" / file).write_bytes(b"x")
    one, two, gone = read(folder)
    assert one.ref.path == f"{folder}/JPEGImages/n02439033_1.JPEG"
    assert "n02439033_2.jpg and n02439033_2.png" in two.detail
    assert gone.image_id == "voc/n02439033_3.jpg"


def test_the_split_of_image_sets_and_folders_is_kept(tmp_path):
    texts = dict.fromkeys("abc", annotation(filename=""))
    folder = write(tmp_path / "voc", **texts)
    sets = tmp_path / "voc" / "ImageSets" / "Main"
    sets.mkdir(parents=True)
    sets.joinpath("train.txt").write_text("a\nb\n")
    sets.joinpath("val.txt").write_text("b \r\n")
    images = read(folder, keep_splits=True)
    assert [i.split for i in images] == ["train", "validation", None]
    assert {i.split for i in read(folder)} == {None}
    (tmp_path / "flat" / "test").mkdir(parents=True)
    (tmp_path / "flat" / "test" / "a.xml").write_text(annotation())
    (image,) = read(str(tmp_path / "flat"), keep_splits=True)
    assert image.split == "test"


BOX = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><ymax>50</ymax>"
    "<xmin>{}</xmin><ymin>11</ymin><xmax>40</xmax></bndbox></object>"
)
SIZE = "<size><width>80</width><height>100</height></size>"


def test_boxes_count_pixels_from_one_and_include_the_last(tmp_path):
    text = annotation(SIZE, BOX.format("dog", 0, 21), BOX.format("cat", 1, 1))
    folder = write(tmp_path, a=text)
    [image] = read(folder, boxes=True)
    assert image.regions.size == "80x100"
    assert image.regions.boxes == (
        ("voc:dog", 0.1, 0.25, 0.5, 0.5, 0),
        ("voc:cat", 0.1, 0.0, 0.5, 0.5, DIFFICULT),
    )
    assert read(folder)[0].regions is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (annotation(SIZE, BOX.format("dog", 0, 41)), "object 0: .* empty"),
        (annotation(BOX.format("dog", 0, 21)), "<size/width> '' is no number"),
        (annotation(SIZE, OBJECT.format("dog")), "<bndbox/xmin>"),
    ],
)
def test_an_annotation_with_a_bad_box_is_a_dead_letter(tmp_path, text, match):
    folder = write(tmp_path, a=text, b=annotation(SIZE))
    letter, image = read(folder, boxes=True)
    assert letter.reason is Reason.MALFORMED_RECORD
    assert re.search(match, letter.detail)
    assert image.regions.boxes == ()
