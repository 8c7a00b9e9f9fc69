import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.find_images import download_name
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason
from beam_jobs.sources import csv_tables
from beam_jobs.sources.reader import AnnotatedImage, Context

URL = "https://example.org/a.jpg"


def find(folder, text, *options, **further):
    path = folder / "labels.csv"
    path.write_text(text)
    context = Context(options, **further)
    return csv_tables.READER.find(str(path), context).parts


def read(folder, text, *options, **further):
    parts = find(folder, text, *options, **further)
    return [item for part in parts for item in csv_tables.READER.read(part)]


def row(name, classes, confidences, ref=None):
    return AnnotatedImage(f"csv/{name}", Source.CSV, classes, confidences, ref)


def test_one_label_a_row(tmp_path):
    text = "path,wnid,split\nx/a.jpg,n02084071,train\nx/a.jpg,dog,train\n"
    assert read(tmp_path, text) == [
        row("x/a.jpg", (key,), (1.0,), ImageRef(str(tmp_path / "x" / "a.jpg")))
        for key in ("n02084071", "csv:dog")
    ]


def test_several_labels_a_row(tmp_path):
    text = (
        "Image,Labels,Confidence\n"
        'a.jpg,"dog; wine glass|/m/0bt9lr",0.5\n'
        "b.jpg,dog;cat,0.25;1\n"
        "c.jpg,,\n"
    )
    assert read(tmp_path, text, labels_only=True) == [
        row(
            "a.jpg",
            ("csv:dog", "csv:wine glass", "oi:/m/0bt9lr"),
            (0.5, 0.5, 0.5),
        ),
        row("b.jpg", ("csv:dog", "csv:cat"), (0.25, 1.0)),
        row("c.jpg", (), ()),
    ]


def test_urls_and_whole_paths(tmp_path):
    text = f"image,label\n{URL},dog\n/x/b.jpg,dog\n"
    first, second = read(tmp_path, text, ("images", "/p"))
    assert first.ref == ImageRef(f"/p/{download_name(URL)}")
    assert first.image_id == f"csv/{URL}"
    assert second.ref == ImageRef("/x/b.jpg")


def test_malformed_rows_become_rejections(tmp_path):
    bad = {
        "a.jpg,dog": "2 fields, not 3",
        "a.jpg,dog,2": "confidence '2', not 0 to 1",
        "a.jpg,dog,": "confidence '', not 0 to 1",
        "a.jpg,dog,1;1": "2 confidences for 1 labels",
        "../a.jpg,dog,1": "'../a.jpg': a URL or a path is needed",
        ",dog,1": "'': a URL or a path is needed",
        'a.jpg,"dog,1': "unexpected end of data",
    }
    text = "image,label,confidence\nb.jpg,dog,1\n" + "\n".join(bad)
    good, *rejected = read(tmp_path, text)
    assert good.image_id == "csv/b.jpg"
    assert [r.detail for r in rejected] == list(bad.values())
    assert {r.reason for r in rejected} == {Reason.MALFORMED_ROW}
    path = tmp_path / "labels.csv"
    assert [r.item for r in rejected] == [f"{path}:{n}" for n in range(3, 10)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty file"),
        ("name,text\na,b\n", "csv:1: the header needs an image.*name,text"),
        ("image,text\na,b\n", "csv:1: the header needs.*a label column"),
        ("image,label\n", "a row with an image and its labels is needed"),
        ("image,label\na\n", "csv:2: 1 fields, not 2"),
        ("url,label\nhttps://x/a,dog\n", "names URLs.*--images FOLDER"),
    ],
)
def test_refuses_bad_files_before_the_job(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        find(tmp_path, text)


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("dog, cat", ["dog", "cat"]),
        ("dog;wine glass|cat", ["dog", "wine glass", "cat"]),
        ("['dog', 'cat']", ["dog", "cat"]),
        ('["dog"]', ["dog"]),
        ("[dog, cat]", ["dog", "cat"]),
        ("[]", []),
        ("", [""]),
    ],
)
def test_labels_of_a_cell(cell, labels):
    assert csv_tables.split_labels(cell) == labels


@pytest.mark.parametrize("cell", ["[1, 2]", "[{'dog': 1}]", "['dog', 'cat]"])
def test_a_cell_that_holds_no_labels_is_refused(cell):
    with pytest.raises(ValueError, match="labels"):
        csv_tables.split_labels(cell)


def test_no_row_stops_the_others(tmp_path):
    bad = ["ftp://h/a.jpg", "nul\0.jpg", "azfs://a/b.jpg", "C:\\a.jpg"]
    text = "image,label\n./b.jpg,dog\nHTTP://h/a.jpg,dog\n"
    text += "".join(f"{name},dog\n" for name in bad)
    first, second, *rejected = read(tmp_path, text, ("images", "/p"))
    assert first.image_id == "csv/b.jpg"
    assert second.ref == ImageRef(f"/p/{download_name('HTTP://h/a.jpg')}")
    assert len(rejected) == len(bad)
    assert [r.reason for r in rejected] == [
        Reason.BAD_URL,
        Reason.MALFORMED_ROW,
        Reason.BAD_URL,
        Reason.MALFORMED_ROW,
    ]
