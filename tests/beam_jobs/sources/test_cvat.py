import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import cvat
from beam_jobs.sources.reader import AnnotatedImage, Context

META = "<version>1.1</version><meta><task><labels><label><name>dog</name>"
META += "</label></labels></task></meta>"


def image(name, *labels, **attributes):
    more = "".join(f' {k}="{v}"' for k, v in attributes.items())
    shapes = "".join(
        f'<{shape} label="{label}"><attribute name="a">b</attribute></{shape}>'
        for label, shape in labels
    )
    return f'<image id="0" name="{name}"{more}>{shapes}</image>'


def find(path, *options, **further):
    return cvat.READER.find(str(path), Context(options, **further))


def read(folder, *elements, options=(), **further):
    path = folder / "annotations.xml"
    text = f"<annotations>{META}{''.join(elements)}</annotations>"
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}')
    (part,) = find(path, *options, **further).parts
    return list(cvat.READER.read(part))


def test_tags_and_shapes_are_positives_once_an_image(tmp_path):
    (tmp_path / "images").mkdir()
    shapes = [("dog", "box"), ("wine glass", "tag"), ("dog", "mask")]
    first, second = read(
        tmp_path, image("a/1.jpg", *shapes, subset="Train"), image("2.jpg")
    )
    assert first == AnnotatedImage(
        "cvat/a/1.jpg",
        Source.CVAT,
        ("cvat:dog", "cvat:wine glass"),
        (1.0, 1.0),
        ImageRef(str(tmp_path / "images" / "a" / "1.jpg")),
    )
    assert second.classes == ()
    (found,) = read(tmp_path, image("1.jpg"), options=[("images", "/p")])
    assert found.ref == ImageRef("/p/1.jpg")
    assert read(tmp_path, image("1.jpg"), labels_only=True)[0].ref is None


def test_subsets_are_splits(tmp_path):
    names = ("val", "default", "mine")
    images = [image(f"{n}.jpg", subset=n) for n in names]
    first, second, bad = read(tmp_path, *images, keep_splits=True)
    assert (first.split, second.split) == ("validation", None)
    assert bad.detail.startswith("split 'mine': one of train")
    assert len(read(tmp_path, *images)) == 3


def test_malformed_images_become_rejections(tmp_path):
    good, *rejected = read(
        tmp_path, image("1.jpg"), image(".."), "<image/>", image("ftp://h/a")
    )
    assert good.image_id == "cvat/1.jpg"
    path = tmp_path / "annotations.xml"
    assert [r.item for r in rejected] == [
        f"{path}:image[{i}]" for i in (1, 2, 3)
    ]
    assert [r.reason for r in rejected] == [
        Reason.MALFORMED_RECORD,
        Reason.MALFORMED_RECORD,
        Reason.BAD_URL,
    ]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("<annotations><image name='1.jpg'/><image", "not CVAT's XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotations/>", "not CVAT's XML"),
        ("<annotations><track label='dog'/></annotations>", "CVAT for images"),
    ],
)
def test_a_broken_file_is_a_rejection_of_all(tmp_path, text, detail):
    path = tmp_path / "a.xml"
    path.write_text(text)
    (part,) = find(path).parts
    *_, rejection = cvat.READER.read(part)
    assert isinstance(rejection, Rejection)
    assert rejection.reason == Reason.UNREADABLE_SOURCE
    assert detail in rejection.detail


@pytest.mark.parametrize("text", ["", "<annotation></annotation>", "{}"])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(InputError, match="empty file|CVAT's XML is needed"):
        find(tmp_path / "a.xml")
