import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_names import download_name
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
        "a.jpg,dog,2": "confidence '2', not 0 to 1 nor 0% to 100%",
        "a.jpg,dog,": "confidence '', not 0 to 1 nor 0% to 100%",
        "a.jpg,dog,1;1": "2 confidences for 1 labels",
        "..,dog,1": "'..': a URL or a path is needed",
        ",dog,1": "'': a URL or a path is needed",
        'a.jpg,"dog,1': "unexpected end of data: a quote opens or closes in a "
        "field",
    }
    text = "image,label,confidence\nb.jpg,dog,0.5\n" + "\n".join(bad)
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


def test_quoted_line_breaks_and_stray_quotes(tmp_path):
    text = (
        "image,note,label\n"
        'a.jpg,"two\nlines, ""said""\n",dog\n'
        'b.jpg,"open,dog\n'
        'c.jpg,5" pipe,"cat"\n'
        'd.jpg,"x",dog\n'
    )
    first, bad, third, fourth = read(tmp_path, text, labels_only=True)
    assert first == row("a.jpg", ("csv:dog",), (1.0,))
    assert bad.item == f"{tmp_path / 'labels.csv'}:5"
    assert third == row("c.jpg", ("csv:cat",), (1.0,))
    assert fourth.image_id == "csv/d.jpg"


@pytest.mark.parametrize(
    ("note", "parts"), [('"in\nside"', 1), ('"in, side"', 3), ("in side", 3)]
)
def test_no_part_starts_in_a_quoted_field(tmp_path, monkeypatch, note, parts):
    monkeypatch.setattr(csv_tables, "TEXT_BYTES", 200)
    rows = [f"{i:03}.jpg,{note},dog\n" for i in range(25)]
    found = find(tmp_path, "image,note,label\n" + "".join(rows))
    assert len(found) == parts
    images = [i.image_id for p in found for i in csv_tables.READER.read(p)]
    assert images == [f"csv/{i:03}.jpg" for i in range(25)]


def test_one_worker_for_a_large_file_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_tables, "TEXT_BYTES", 20)
    path = tmp_path / "labels.csv"
    path.write_text('image,label\n"a\n.jpg",dog\n')
    found = csv_tables.READER.find(str(path), Context(labels_only=True))
    assert "one worker reads it" in found.notes[0]


def test_percents_are_read_with_their_sign_alone(tmp_path):
    header = "image,label,confidence\n"
    good = read(tmp_path, header + "a.jpg,dog;cat,87%;5 %\n", labels_only=True)
    assert good == [row("a.jpg", ("csv:dog", "csv:cat"), (0.87, 0.05))]
    with pytest.raises(InputError, match="with % behind each.*received: 87"):
        find(tmp_path, header + "a.jpg,dog,1\nb.jpg,dog,87\n")
    # One slip among fractions is a row's own.
    text = header + "a.jpg,dog,0.9\nb.jpg,dog,87\n"
    assert read(tmp_path, text)[1].reason == Reason.MALFORMED_ROW


def test_further_columns_of_labels_are_said(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image,Label,category,n\na.jpg,dog,animal,1\n")
    found = csv_tables.READER.find(str(path), Context(labels_only=True))
    assert found.notes == (
        f"{path}: labels are in its column Label; there is category, too: "
        "--label-column takes another",
    )
    given = Context((("label_column", "category"),), labels_only=True)
    assert csv_tables.READER.find(str(path), given).notes == ()
    path.write_text("image,label,confidence,Confidence\na.jpg,dog,1,1\n")
    with pytest.raises(InputError, match="a column confidence once"):
        csv_tables.READER.find(str(path), Context(labels_only=True))


def test_a_text_is_no_label(tmp_path):
    text = f"image,label\na.jpg,dog\nb.jpg,{'very ' * 99}long\n"
    _, bad = read(tmp_path, text, labels_only=True)
    assert "a label of 499 characters, at most 255" in bad.detail


def test_label_separator(tmp_path):
    text = "image_name,tags\na.jpg,haze primary road\nb.jpg,\n"
    option = ("label_separator", "blank")
    first, second = read(tmp_path, text, option, labels_only=True)
    assert first.classes == ("csv:haze", "csv:primary", "csv:road")
    assert second.classes == ()


def test_no_row_stops_the_others(tmp_path):
    bad = ["ftp://h/a.jpg", "nul\0.jpg", "azfs://a/b.jpg", "\\.."]
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


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("File Name,tags\nb.jpg,dog\n", {}),
        ("image;label\nb.jpg;dog\n", {}),
        ("notes,id\tcategory\nb.jpg\tdog\n", {"image_column": "notes,id"}),
        (",img,class_name\n0,b.jpg,dog\n", {}),
        ('image, labels\nb.jpg, "dog"\n', {}),
        ("id,breed\nb.jpg,dog\n", {"label_column": "Breed"}),
        ("path|x|y\nb.jpg||dog\n", {"label_column": "3"}),
        ("T,b.jpg,dog\n", {"image_column": "2", "label_column": "3"}),
        ("id,x,label\n1,b.jpg,dog\n", {"image_column": "2"}),
        ("filename, cat, dog\nb.jpg, 0, 1\n", {}),
        ("ImageID,Source,LabelName\nb.jpg,verification,dog\n,,\n", {}),
    ],
)
def test_headers_and_delimiters(tmp_path, text, options):
    found = read(tmp_path, text, *options.items(), labels_only=True)
    assert found == [row("b.jpg", ("csv:dog",), (1.0,))]


def test_a_mark_is_0_or_1(tmp_path):
    good, bad = read(tmp_path, "filename,cat,dog\nb.jpg,1,1\na.jpg,0,2\n")
    assert good.classes == ("csv:cat", "csv:dog")
    assert bad.detail == "'2': 0 or 1 is needed"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfei\0m\0", "UTF-16 text: save it as UTF-8"),
        (b"i\0m\0a\0", "UTF-16 text: save it as UTF-8"),
        (b"image,l\xe9\n", "not UTF-8 text: save it as UTF-8"),
        (b"image,label\ra.jpg,dog\r", "lines end in CR alone"),
        (b"id,breed\na,b\n", "positions, with --image-column and --label-col"),
        (b"image,label,label\na,b,c\n", "each once"),
        (b"T,gs://b/a.jpg,dog\n", "with --image-column and --label-column"),
    ],
)
def test_what_is_not_read_says_the_way_out(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match=message):
        csv_tables.READER.find(str(path), Context())


def test_a_column_that_is_not_there_is_refused(tmp_path):
    options = [("label_column", "9")]
    with pytest.raises(InputError, match="no --label-column 9 in: image,label"):
        find(tmp_path, "image,label\na.jpg,dog\n", *options)


def test_ids_without_suffix_are_found(tmp_path):
    for name in ("g.jpg", "z.png", "z.jpg", "raw"):
        (tmp_path / name).write_bytes(b"x")
    text = "image_id,label\ng,dog\nz,dog\nraw,dog\ngone,dog\n"
    first, bad, raw, gone = read(tmp_path, text)
    assert first.image_id == "csv/g.jpg"
    assert first.ref == ImageRef(f"{tmp_path}/g.jpg")
    assert "z.jpg and z.png" in bad.detail
    assert raw.ref == ImageRef(f"{tmp_path}/raw")
    assert gone.image_id == "csv/gone"


def test_paths_of_another_machine_are_found(tmp_path):
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a.jpg").write_bytes(b"x")
    names = (
        *("pics\\a.jpg", "../b/pics/a.jpg", "/data/x/?d=pics/a.jpg"),
        *("/gone/pics/a.jpg", "~/pics/a.jpg", "file:///C:/x/pics/a.jpg"),
        "d:/pics/a.jpg",
    )
    text = "image,label\n" + "".join(f"{name},dog\n" for name in names)
    found = read(tmp_path, text)
    assert {item.ref for item in found} == {ImageRef(f"{tmp_path}/pics/a.jpg")}
    assert {item.image_id for item in found} == {"csv/pics/a.jpg"}


def test_columns_say_licence_author_and_url(tmp_path):
    text = (
        "file_name,label,Licence,photographer,url,image_url\n"
        "a.jpg,dog, CC BY 2.0 ,Ann,https://x.org/a,\nb.jpg,dog,,,,\n"
    )
    first, second = read(tmp_path, text)
    assert first.origin == ("CC BY 2.0", "Ann", "https://x.org/a")
    assert second.origin is None
    text = f"url,label,author\n{URL},dog,Ann\n"
    (image,) = read(tmp_path, text, ("images", "/p"))
    assert image.origin == ("", "Ann", ""), "its id holds the URL"


def test_a_column_says_the_split(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("image,label,Subset\na.jpg,dog,VAL\nb.jpg,cat,\n")
    found = csv_tables.READER.find(str(path), Context(keep_splits=True))
    assert found.has_splits
    images = list(csv_tables.READER.read(found.parts[0]))
    assert [i.split for i in images] == ["validation", None]
    (part,) = csv_tables.READER.find(str(path), Context()).parts
    assert [i.split for i in csv_tables.READER.read(part)] == [None, None]


def read_lines(folder, text, *options, **further):
    path = folder / "metadata.jsonl"
    path.write_text(text)
    parts = csv_tables.READER.find(str(path), Context(options, **further)).parts
    return [item for part in parts for item in csv_tables.READER.read(part)]


def test_json_lines_are_rows(tmp_path):
    found = read_lines(
        tmp_path,
        '{"file_name": "a.jpg", "labels": ["dog", "wine glass"]}\n'
        '{"labels": "cat", "file_name": "b.jpg", "split": "train"}\n\n'
        '{"file_name": "c.jpg", "labels": 3}\n'
        '{"file_name": "d.jpg"}\n',
        labels_only=True,
    )
    assert found == [
        row("a.jpg", ("csv:dog", "csv:wine glass"), (1.0, 1.0)),
        row("b.jpg", ("csv:cat",), (1.0,)),
        row("c.jpg", ("csv:3",), (1.0,)),
        row("d.jpg", (), ()),
    ]


def test_malformed_json_lines_become_rejections(tmp_path):
    bad = [
        '{"file_name": "b.jpg", "label": ',
        "[1]",
        "[" * 9999,
        '{"label": 1}',
    ]
    text = '{"file_name": "a.jpg", "label": "dog"}\n' + "\n".join(bad)
    good, *rejected = read_lines(tmp_path, text, labels_only=True)
    assert good.image_id == "csv/a.jpg"
    assert [r.item[-2:] for r in rejected] == [":2", ":3", ":4", ":5"]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_ROW}
    assert "Expecting value" in rejected[0].detail
    assert rejected[3].detail == "'None': a URL or a path is needed"


def test_json_lines_may_name_the_files_of_their_rows(tmp_path):
    text = '{"image_file_name": "a.jpg", "dog": 1, "cat": false}\n'
    (image,) = read_lines(tmp_path, text)
    assert image.classes == ("csv:dog",)
    assert image.ref == ImageRef(str(tmp_path / "a.jpg"))


def test_numbered_classes_get_their_names(tmp_path):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    names = ("class_names", str(tmp_path / "names.txt"))
    text = "image,label\na.jpg,1\nb.jpg,2\nc.jpg,bird\n"
    dog, bad, bird = read(tmp_path, text, names)
    assert (dog.classes, bird.classes) == (("csv:dog",), ("csv:bird",))
    assert bad.detail == "class 2: there are 2 names"


@pytest.mark.parametrize("text", ["", "1\n", "{\n"])
def test_a_file_of_other_json_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="empty file|a JSON object a line"):
        read_lines(tmp_path, text)


def test_half_a_character_is_no_label(tmp_path):
    text = '{"image": "a.jpg", "label": "dog"}\n'
    text += '{"image": "b.jpg", "label": "\\ud800"}\n'
    _, bad = read_lines(tmp_path, text)
    assert bad.detail == "a label holds half a character"


def test_an_image_in_the_text_is_said_to_be_none(tmp_path):
    text = "image,label\na.jpg,dog\n"
    text += f"data:image/png;base64,iVBO,dog\n{'a' * 5000},dog\n"
    text = text.replace("base64,", "base64")
    _, *rejected = read(tmp_path, text)
    assert {r.detail.partition("a path")[2] for r in rejected} == {
        " is needed, no image in text"
    }
    assert max(len(r.detail) for r in rejected) < 150
