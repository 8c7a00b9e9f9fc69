import json

import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.regions import CROWD, Regions
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import coco
from beam_jobs.sources.reader import AnnotatedImage, Context

IMAGES = [
    {"id": 7, "file_name": "train/a.jpg", "height": 1, "width": 2},
    {"id": 8, "file_name": "b.jpg"},
]
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 90, "name": "wine glass"}]


def box(image_id, category_id, **further):
    polygon = {"segmentation": [[1.5, 2.5, 3.5]], "bbox": [1, 2, 3, 4]}
    return {"image_id": image_id, "category_id": category_id, **polygon}


def read(folder, annotations, *options, images=IMAGES):
    content = {
        "info": {"year": 2017},
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES,
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    (part,) = coco.READER.find(
        str(path), Context(options, labels_only=not options)
    ).parts
    return list(coco.READER.read(part))


def test_objects_become_positives_once_an_image(tmp_path):
    boxes = [box(7, 90), box(7, 18), box(7, 90, iscrowd=1)]
    images = read(tmp_path, boxes, ("images", "/p"))
    assert images == [
        AnnotatedImage(
            "coco/train/a.jpg",
            Source.COCO,
            ("coco:wine glass", "coco:dog"),
            (1.0, 1.0),
            ImageRef("/p/train/a.jpg"),
        ),
        AnnotatedImage("coco/b.jpg", Source.COCO, ref=ImageRef("/p/b.jpg")),
    ]
    assert read(tmp_path, [])[0].ref is None


def test_malformed_entries_become_rejections(tmp_path):
    images = [*IMAGES, {"id": 9}, {"id": 10, "file_name": ".."}, 3]
    boxes = [box(7, 18), box(6, 18), box(7, 17), {"id": 1}, 5, box([], {})]
    found = read(tmp_path, boxes, images=images)
    assert [i.image_id for i in found if isinstance(i, AnnotatedImage)] == [
        "coco/train/a.jpg",
        "coco/b.jpg",
    ]
    rejected = [r for r in found if not isinstance(r, AnnotatedImage)]
    assert [(r.item.rpartition(":")[2], r.detail) for r in rejected] == [
        ("annotations[1]", "image_id 6 is in no image"),
        ("annotations[2]", "category_id 17 is no category"),
        ("annotations[3]", "no image_id or category_id"),
        ("annotations[4]", "no image_id or category_id"),
        ("annotations[5]", "no image_id or category_id"),
        ("images[2]", coco._NO_FILE),
        ("images[3]", coco._NO_FILE),
        ("images[4]", coco._NO_FILE),
    ]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_RECORD}


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ('{"images": [}', "not a COCO file: Expecting value"),
        ('{"images": []}', "the lists images, annotations, categories"),
        ('{"a":' * 100_000 + "}", "not a COCO file: maximum recursion"),
    ],
)
def test_malformed_file_becomes_a_rejection(tmp_path, text, detail):
    path = tmp_path / "a.json"
    path.write_text(text)
    (part,) = coco.READER.find(str(path), Context(labels_only=True)).parts
    (rejection,) = coco.READER.read(part)
    assert rejection.item == str(path)
    assert detail in rejection.detail


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "an empty file"), ("[]", "a JSON object"), ('{"images": [', "end")],
)
def test_refuses_files_that_are_no_json_object(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        coco.READER.find(str(path), Context(labels_only=True))


def test_an_id_is_the_same_in_all_its_spellings(tmp_path):
    images = [
        {"id": "7", "file_name": "./a/0001.jpg"},
        {"id": 8.0, "file_name": "b/0001.jpg"},
    ]
    boxes = [box(7.0, "18"), box("8", 90.0)]
    found = read(tmp_path, boxes, images=images)
    assert [(i.image_id, i.classes) for i in found] == [
        ("coco/a/0001.jpg", ("coco:dog",)),
        ("coco/b/0001.jpg", ("coco:wine glass",)),
    ]


def test_an_id_of_two_files_labels_neither(tmp_path):
    images = [{"id": 8, "file_name": "c.jpg"}, *IMAGES]
    found = read(tmp_path, [box(8, 18), box(7, 18)], images=images)
    assert [(i.reason, i.item) for i in found if isinstance(i, Rejection)] == [
        (Reason.DUPLICATE_ID, "coco/c.jpg"),
        (Reason.DUPLICATE_ID, "coco/b.jpg"),
    ]
    assert [i.classes for i in found if isinstance(i, AnnotatedImage)] == [
        ("coco:dog",)
    ]


def test_a_byte_order_mark_is_no_content(tmp_path):
    content = {"images": IMAGES, "annotations": [], "categories": CATEGORIES}
    path = tmp_path / "bom.json"
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    (part,) = coco.READER.find(str(path), Context(labels_only=True)).parts
    assert len(list(coco.READER.read(part))) == 2


def test_lvis_names_its_images_in_coco_url(tmp_path):
    url = "http://images.cocodataset.org/train2017/000000000025.jpg"
    images = [{"id": 1, "coco_url": url}]
    images += [{"id": 2, "file_name": "b.jpg", "coco_url": url}]
    first, second = read(tmp_path, [], ("images", "/p"), images=images)
    assert first.ref == ImageRef("/p/train2017/000000000025.jpg")
    assert second.ref == ImageRef("/p/b.jpg")


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("images\\1/a.jpg", "images/1/a.jpg"),
        ("C:\\data\\1\\a.jpg", "images/1/a.jpg"),
        ("../../media/upload/4/c.jpg", "images/c.jpg"),
        ("/data/local-files/?d=photos/c.jpg", "images/c.jpg"),
        ("images/my%20photo.jpg", "images/my photo.jpg"),
        ("images/90%.jpg", "images/90%.jpg"),
        ("../2/a.jpg", "images/2/a.jpg"),
        ("..\\gone.jpg", "gone.jpg"),
        ("2/a.jpg", "2/a.jpg"),
    ],
)
def test_paths_as_tools_write_them(tmp_path, name, path):
    files = ("1/a.jpg", "2/a.jpg", "c.jpg", "my photo.jpg", "90%.jpg")
    write(tmp_path / "images", *files)
    images = [{"id": 1, "file_name": name}]
    (found,) = read(tmp_path, [], ("images", str(tmp_path)), images=images)
    assert found.image_id == f"coco/{path}"
    assert found.ref == ImageRef(f"{tmp_path}/{path}")


def test_a_path_that_fits_two_images_names_both(tmp_path):
    write(tmp_path, "1/a.jpg", "2/a.jpg")
    images = [{"id": 1, "file_name": "..\\3\\a.jpg"}]
    (bad,) = read(tmp_path, [], ("images", str(tmp_path)), images=images)
    assert bad.detail == "'3/a.jpg' may be 1/a.jpg or 2/a.jpg"


def test_licences_and_urls_of_images(tmp_path):
    content = {
        "licenses": [
            {"id": 4, "name": "BY", "url": "http://cc.org/by/2.0/"},
            {"id": 5, "name": "own"},
            "CC",
        ],
        "images": [
            {
                "id": 1,
                "file_name": "a.jpg",
                "license": 4.0,
                "flickr_url": "http://flickr/a",
                "coco_url": "http://coco/a",
            },
            {"id": 2, "license": 5, "coco_url": "http://c/val2017/b.jpg"},
            {"id": 3, "file_name": "c.jpg", "license": 9},
        ],
        "annotations": [],
        "categories": CATEGORIES,
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    (part,) = coco.READER.find(str(path), Context(labels_only=True)).parts
    assert {i.image_id: i.origin for i in coco.READER.read(part)} == {
        "coco/a.jpg": ("http://cc.org/by/2.0/", "", "http://flickr/a"),
        "coco/val2017/b.jpg": ("own", "", "http://c/val2017/b.jpg"),
        "coco/c.jpg": None,
    }


def test_segments_of_panoptic_files_become_positives(tmp_path):
    segments = [{"id": 1, "category_id": 90.0}, {"id": 2, "category_id": "18"}]
    entries = [
        {"image_id": 7, "file_name": "a.png", "segments_info": segments},
        {"image_id": 8, "file_name": "b.png", "segments_info": []},
        {"image_id": 8, "segments_info": [{"category_id": 1}, 5]},
        {"image_id": 9, "segments_info": segments},
    ]
    *rejected, first, second = read(tmp_path, entries)
    assert first.classes == ("coco:wine glass", "coco:dog")
    assert second.classes == ()
    assert [(r.item.rpartition(":")[2], r.detail) for r in rejected] == [
        ("annotations[2].segments_info[0]", "category_id 1 is no category"),
        ("annotations[2].segments_info[1]", "no image_id or category_id"),
        ("annotations[3]", "image_id 9 is in no image"),
    ]


def test_a_long_name_of_a_class_becomes_a_rejection(tmp_path):
    name = "x" * 255
    for text, kept in ((name, (f"coco:{name}",)), (name + "x", ())):
        content = {
            "images": [{"id": 7, "file_name": "a.jpg"}],
            "annotations": [box(7, 1)],
            "categories": [{"id": 1, "name": text}],
        }
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content))
        (part,) = coco.READER.find(str(path), Context(labels_only=True)).parts
        *rejected, image = coco.READER.read(part)
        assert image.classes == kept
        assert len(rejected) == (not kept)
    assert "a label of 256 characters, at most 255" in rejected[0].detail


def test_captions_are_said_to_have_their_own_option(tmp_path):
    rejected, *_ = read(tmp_path, [{"image_id": 7, "caption": "a dog"}])
    assert rejected.detail.endswith("but a caption: read it with --captions")


@pytest.mark.parametrize("folder", ["", "images/"])
def test_images_lie_beside_the_file(tmp_path, folder):
    image = tmp_path / f"{folder}a.jpg"
    path = tmp_path / "_annotations.coco.json"
    content = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}
    path.write_text(json.dumps(content | {"categories": []}))
    with pytest.raises(InputError, match="--images FOLDER"):
        coco.READER.find(str(path), Context())
    image.parent.mkdir(exist_ok=True)
    image.write_bytes(b"x")
    found = coco.READER.find(str(path), Context())
    (read,) = coco.READER.read(found.parts[0])
    assert read.ref == ImageRef(str(image))


def read_boxes(folder, annotations, image):
    content = {
        "images": [image],
        "annotations": annotations,
        "categories": CATEGORIES,
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    context = Context((("images", "/p"),), boxes=True)
    (part,) = coco.READER.find(str(path), context).parts
    return list(coco.READER.read(part))


def test_boxes_of_objects_and_crowds(tmp_path):
    image = {"id": 7, "file_name": "a.jpg", "height": 100, "width": 80}
    things = [
        {"image_id": 7, "category_id": 18, "bbox": [20, 10, 20, 40]},
        {"image_id": 7, "category_id": 90, "bbox": [0, 0, 80, 5], "iscrowd": 1},
        {"image_id": 7, "category_id": 18, "bbox": [20, 10, 0, 40]},
        {"image_id": 7, "category_id": 18},
        {"image_id": 7, "category_id": 5, "bbox": [1, 1, 1, 1]},
    ]
    *letters, found = read_boxes(tmp_path, things, image)
    assert found.regions.size == "80x100"
    assert found.regions.boxes == (
        ("coco:dog", 0.1, 0.25, 0.5, 0.5, 0),
        ("coco:wine glass", 0.0, 0.0, 0.05, 1.0, CROWD),
    )
    details = {r.item.rpartition(":")[2]: r.detail for r in letters}
    assert details.keys() == {
        "annotations[4]",
        "annotations[2]",
        "annotations[3]",
    }
    assert "empty or outside" in details["annotations[2]"]
    assert details["annotations[3]"] == "no bbox of four numbers"
    assert found.regions.wrong.startswith("annotations[2]: the box")


def test_boxes_need_the_size_of_their_image(tmp_path):
    thing = {"image_id": 7, "category_id": 18, "bbox": [20, 10, 20, 40]}
    letter, found = read_boxes(tmp_path, [thing], {"id": 7, "file_name": "a"})
    assert letter.detail == "its image has no width and height"
    assert found.regions == Regions(wrong=f"annotations[0]: {letter.detail}")
