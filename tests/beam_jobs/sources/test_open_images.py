import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_names import download_name
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.regions import CROWD
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import open_images, open_images_files
from beam_jobs.sources.reader import AnnotatedImage, Context, Part
from beam_jobs.sources.text_rows import cut_text

HEADER = "ImageID,Source,LabelName,Confidence\n"
LABELS = "train_annotations_human_imagelabels"
HUMAN = Source.OPEN_IMAGES_HUMAN
MACHINE = Source.OPEN_IMAGES_MACHINE


def write(folder, **contents):
    (folder / "images").mkdir()
    for name, text in contents.items():
        (folder / f"{name.replace('_', '-')}.csv").write_text(text)
    return str(folder)


def written(folder, text):
    path = folder / "a.csv"
    path.write_text(text)
    return str(path)


def labels(path, source=HUMAN):
    part = Part("", path, options=(("source", source.name),))
    return list(open_images.read_labels(part))


GOOD = {
    LABELS: HEADER + "a,verification,/m/0,1\n",
    "class_descriptions": "LabelName,DisplayName\n/m/0,Dog\n",
}


def test_finds_files_by_their_published_names(tmp_path):
    images = "ImageID,Rotation\na,90.0\n"
    folder = write(
        tmp_path, **GOOD, train_images_with_labels_with_rotation=images
    )
    found = open_images_files.find_files(folder)
    assert found.human_labels == (
        f"{folder}/train-annotations-human-imagelabels.csv",
    )
    assert found.machine_labels == ()
    assert len(found.images) == 1
    assert found.overrides is None


def test_downloads_are_found_by_the_urls_of_the_image_table(tmp_path):
    rows = "a,90.0,http://x/a,http://x/a300\nb,0,http://x/b,http://x/b300\n"
    header = "ImageID,Rotation,OriginalURL,Thumbnail300KURL\n"
    name = "image_ids_and_rotation"
    folder = write(tmp_path, **GOOD)
    table = tmp_path / f"{name}.csv"
    table.write_text("ImageID,Rotation\na,90.0\n")
    downloads = tmp_path / "downloads"
    context = Context(options=(("images", str(downloads)),))
    with pytest.raises(InputError, match="no image CSV .* tells which file"):
        open_images.READER.find(folder, context)
    table.write_text(header + rows)
    file = downloads / download_name("http://x/a300")
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    found = open_images.READER.find(folder, context)
    (part,) = [p for p in found.parts if p.option("table") == "rotations"]
    refs = [image.ref for image in open_images.READER.read(part)]
    assert refs == [ImageRef(str(file)), None]
    # What lies in images/ is the image.
    (tmp_path / "images" / "a.jpg").write_bytes(b"x")
    found = open_images.READER.find(folder, context)
    (part,) = [p for p in found.parts if p.option("table") == "rotations"]
    assert [i.ref for i in open_images.READER.read(part)] == [None, None]
    assert found.images == 1


BOXES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,"
    "IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
)
ROTATIONS = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,"
    "Author,Title,OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation\n"
)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("train-annotations-human-imagelabels.csv", "human_labels"),
        ("train-annotations-human-imagelabels-boxable.csv", "human_labels"),
        ("oidv6-train-annotations-human-imagelabels.csv", "human_labels"),
        ("oidv7-val-annotations-human-imagelabels.csv", "human_labels"),
        ("validation-annotations-machine-imagelabels.csv", "machine_labels"),
        ("oidv7-test-annotations-machine-imagelabels.csv", "machine_labels"),
        ("oidv6-train-annotations-bbox.csv", "boxes"),
        ("test-annotations-bbox.csv", "boxes"),
        ("oidv7-class-descriptions.csv", "classes"),
        ("class-descriptions-boxable.csv", "classes"),
        ("image_ids_and_rotation.csv", "images"),
        ("oidv6-train-images-with-labels-with-rotation.csv", "images"),
        ("train-images-boxable-with-rotation.csv", "images"),
        ("validation-images-with-rotation.csv", "images"),
    ],
)
def test_published_names_of_every_version(tmp_path, name, attribute):
    contents = {
        "human_labels": HEADER + "a,verification,/m/0,1\n",
        "machine_labels": HEADER + "a,machine,/m/0,0.5\n",
        "boxes": BOXES + "a,xclick,/m/0,1,0,1,0,1,0,0,0,0,0\n",
        "classes": "/m/0,Dog\n",
        "images": ROTATIONS + "a,train,,,,,,,,,,\n",
    }
    folder = write(tmp_path, **GOOD)
    (tmp_path / name).write_text(contents[attribute])
    found = getattr(open_images_files.find_files(folder), attribute)
    assert f"{folder}/{name}" in found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_descriptions": None}, "class-descriptions.csv is needed"),
        ({LABELS: None}, "train-annotations-human-imagelabels.csv is needed"),
        ({LABELS: ""}, "imagelabels.csv:1: the header lacks.*an empty file"),
        ({LABELS: HEADER}, "a row as its header says.*received: no row"),
        (
            {LABELS: "ImageID,Label\na,b\n"},
            "csv:1: the header lacks Source, LabelName, Confidence",
        ),
        (
            {LABELS: HEADER + "a,b\n"},
            "csv:2: 2 fields, not 4; a row as its header says is needed",
        ),
        (
            {"train_annotations_bbox": "ImageID,Label\na,b\n"},
            "bbox.csv:1: the header lacks LabelName",
        ),
    ],
)
def test_refuses_bad_folders_before_the_job(tmp_path, changes, message):
    contents = {k: v for k, v in (GOOD | changes).items() if v is not None}
    with pytest.raises(InputError, match=message):
        open_images.READER.find(write(tmp_path, **contents), Context())


def test_refuses_missing_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        open_images_files.find_files(str(tmp_path / "none"))


def test_refuses_binary_csv(tmp_path):
    folder = write(tmp_path, **GOOD)
    path = tmp_path / "train-annotations-human-imagelabels.csv"
    path.write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(InputError, match="not a CSV file"):
        open_images_files.find_files(folder)


def test_rows_of_one_image_become_one(tmp_path):
    path = written(
        tmp_path,
        HEADER
        + "a,machine,/m/0,0.9\n"
        + "a,machine,/m/1,0.2\n"
        + "b,machine,/m/0,1\n"
        + "a,machine,/m/2,0\n",
    )
    assert labels(path, MACHINE) == [
        AnnotatedImage(
            "open_images/a", MACHINE, ("oi:/m/0", "oi:/m/1"), (0.9, 0.2)
        ),
        AnnotatedImage("open_images/b", MACHINE, ("oi:/m/0",), (1.0,)),
        AnnotatedImage("open_images/a", MACHINE, ("oi:/m/2",), (0.0,)),
    ]


def test_bad_rows_become_rejections_with_their_line(tmp_path):
    path = written(
        tmp_path,
        HEADER
        + "a,verification,/m/0,1\n"
        + "a,verification\n"
        + "b,verification,/m/0,yes\n"
        + "c,verification,/m/0,1.5\n"
        + ",verification,/m/0,1\n"
        + '"d,verification,/m/0,0\n'
        + "e,verification,/m/0,0\n",
    )
    rows = labels(path)
    assert [r for r in rows if isinstance(r, AnnotatedImage)] == [
        AnnotatedImage("open_images/a", HUMAN, ("oi:/m/0",), (1.0,)),
        AnnotatedImage("open_images/e", HUMAN, ("oi:/m/0",), (0.0,)),
    ]
    rejected = [row for row in rows if isinstance(row, Rejection)]
    assert [r.item for r in rejected] == [f"{path}:{n}" for n in range(3, 8)]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_ROW}
    assert [r.detail for r in rejected] == [
        "2 fields, not 4",
        "Confidence 'yes', not 0 to 1",
        "Confidence '1.5', not 0 to 1",
        "an empty ImageID",
        "unexpected end of data",
    ]


def test_parts_say_together_what_the_whole_file_says(tmp_path):
    rows = [f"i{n // 3},verification,/m/{n},{n % 2}\n" for n in range(200)]
    path = written(tmp_path, HEADER + "".join(rows))
    options = [("source", HUMAN.name)]
    size = len(HEADER + "".join(rows))
    parts = cut_text("", path, size, options, part_bytes=100)
    assert len(parts) > 30
    found = [
        (image.image_id, key, confidence)
        for part in parts
        for image in open_images.read_labels(part)
        for key, confidence in zip(
            image.classes, image.confidences, strict=True
        )
    ]
    assert found == [
        (f"open_images/i{n // 3}", f"oi:/m/{n}", float(n % 2))
        for n in range(200)
    ]


def test_columns_are_found_by_name(tmp_path):
    path = written(
        tmp_path, "Confidence,LabelName,ImageID,Source\n1,/m/0,a,x\n"
    )
    assert labels(path) == [
        AnnotatedImage("open_images/a", HUMAN, ("oi:/m/0",), (1.0,))
    ]


def test_boxes_are_positives_once_an_image(tmp_path):
    row = "{},xclick,{},1,0,1,0,1,0,0,1,0,-1\n"
    path = written(
        tmp_path,
        BOXES
        + row.format("a", "/m/0")
        + row.format("a", "/m/1")
        + "a,xclick\n"
        + row.format("a", "/m/0")
        + row.format("b", "/m/0"),
    )
    rows = list(open_images.read_boxes(Part("", path)))
    boxes = Source.OPEN_IMAGES_BOXES
    assert rows == [
        AnnotatedImage(
            "open_images/a", boxes, ("oi:/m/0", "oi:/m/1"), (1.0, 1.0)
        ),
        Rejection(Reason.MALFORMED_ROW, f"{path}:4", "2 fields, not 13", path),
        AnnotatedImage("open_images/b", boxes, ("oi:/m/0",), (1.0,)),
    ]


def test_rotations(tmp_path):
    path = written(
        tmp_path,
        'ImageID,Title,Rotation\na,"x, y",\nb,,270.0\nc,,45\nd,,inf\n',
    )
    rows = list(open_images.read_rotations(Part("", path)))
    assert rows[:2] == [
        AnnotatedImage("open_images/a", HUMAN, rotation=0),
        AnnotatedImage("open_images/b", HUMAN, rotation=270),
    ]
    assert [row.detail for row in rows[2:]] == [
        "Rotation '45', not 0, 90, 180 or 270",
        "Rotation 'inf', not 0, 90, 180 or 270",
    ]


def test_image_rows_say_licence_author_and_url(tmp_path):
    text = "a,train,u,l,https://cc.org/by,p,Ann,t,1,m,,\nb,,,,,,,,,,,90.0\n"
    path = written(tmp_path, ROTATIONS + text)
    first, second = open_images.read_rotations(Part("", path))
    assert first.origin == ("https://cc.org/by", "Ann", "u")
    assert (second.origin, second.rotation) == (None, 90)
    text = "ImageID,OriginalLandingURL,Rotation\na,l,\n"
    (image,) = open_images.read_rotations(Part("", written(tmp_path, text)))
    assert image.origin == ("", "", "l")


def test_parts_of_a_folder(tmp_path):
    folder = write(
        tmp_path,
        **GOOD,
        image_ids_and_rotation="ImageID,Rotation\na,0\n",
        validation_annotations_machine_imagelabels=HEADER + "a,x,/m/0,0.5\n",
    )
    (tmp_path / "images" / "a.jpg").write_bytes(b"abc")
    (tmp_path / "images" / "notes.txt").write_bytes(b"abc")
    (tmp_path / "image_ids_and_rotation.csv").write_text(
        "ImageID,Rotation\na,0\n"
    )
    found = open_images.READER.find(folder, Context())
    assert [(p.option("table"), p.option("source")) for p in found.parts] == [
        ("labels", "OPEN_IMAGES_HUMAN"),
        ("labels", "OPEN_IMAGES_MACHINE"),
        ("rotations", None),
        ("images", None),
    ]
    assert found.images == 1
    ref = ImageRef(f"{folder}/images/a.jpg", 0, 3)
    assert list(open_images.READER.read(found.parts[-1])) == [
        AnnotatedImage("open_images/a", HUMAN, ref=ref)
    ]
    found = open_images.READER.find(folder, Context(labels_only=True))
    assert len(found.parts) == 2
    assert found.images is None


@pytest.mark.parametrize("header", ["", "LabelName,DisplayName\n", "id,name\n"])
def test_display_names_with_and_without_header(tmp_path, header):
    path = written(tmp_path, header + '/m/0,Dog\n/m/1,"Cat, house"\n')
    names = open_images.read_display_names((path,))
    assert names == {"/m/0": "Dog", "/m/1": "Cat, house"}


def test_malformed_class_names_file_and_line(tmp_path):
    path = written(tmp_path, "LabelName,DisplayName\nDog\n")
    with pytest.raises(InputError, match="a.csv:2: a label name"):
        open_images.read_display_names((path,))


CORNERS = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\n"


def test_corners_of_boxes(tmp_path):
    rows = "a,x,/m/0,1,0.25,0.5,0.1,0.3,0\na,x,/m/1,1,0,1,0,1,1\n"
    rows += "a,x,/m/0,1,0.5,0.5,0,1,0\na,x,/m/0,1,none,1,0,1,0\n"
    path = written(tmp_path, CORNERS + rows)
    found, *letters = open_images.read_boxes(
        Part("", path, options=(("boxes", "yes"),))
    )
    assert found.regions.boxes == (
        ("oi:/m/0", 0.1, 0.25, 0.3, 0.5, 0),
        ("oi:/m/1", 0.0, 0.0, 1.0, 1.0, CROWD),
    )
    assert [r.item for r in letters] == [f"{path}:4", f"{path}:5"]
    assert "is empty" in letters[0].detail
    assert found.regions.wrong == letters[0].detail


def test_a_table_of_boxes_without_corners_is_refused(tmp_path):
    boxes = "ImageID,Source,LabelName,Confidence\na,x,/m/0,1\n"
    folder = write(tmp_path, **GOOD, train_annotations_bbox=boxes)
    with pytest.raises(InputError, match="--boxes needs the columns YMin"):
        open_images.READER.find(folder, Context(labels_only=True, boxes=True))
