import json

import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason
from beam_jobs.sources import captions, coco
from beam_jobs.sources.reader import AnnotatedImage, Context

DOG, ZEBRA, TREE = (
    f"captions:{name}.n.01" for name in ("dog", "zebra", "tree")
)


def find(path, *options, **further):
    return captions.READER.find(str(path), Context(options, **further))


def read(path, *options, **further):
    found = find(path, *options, **further)
    return [i for part in found.parts for i in captions.READER.read(part)]


def write(path, annotations):
    images = [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}]
    content = {"images": images, "annotations": annotations}
    path.write_text(json.dumps(content))
    return path


def test_nouns_of_all_captions_of_an_image_are_labels(tmp_path):
    entries = [
        {"image_id": 7, "caption": "A dog without a hat."},
        {"image_id": "7", "caption": "The dog sits under a tree"},
        {"image_id": 8, "caption": ""},
    ]
    path = write(tmp_path / "captions_val2017.json", entries)
    assert read(path, ("images", "/p")) == [
        AnnotatedImage(
            "coco/a.jpg",
            Source.CAPTIONS,
            (DOG, TREE),
            (0.8, 0.8),
            ImageRef("/p/a.jpg"),
        ),
        AnnotatedImage("coco/b.jpg", Source.CAPTIONS, ref=ImageRef("/p/b.jpg")),
    ]
    (part,) = find(path, keep_splits=True).parts
    assert part.option("split") == "validation"


def test_captions_join_the_objects_of_their_images(tmp_path):
    path = write(tmp_path / "a.json", [{"image_id": 7, "caption": "A dog"}])
    content = json.loads(path.read_text())
    content["annotations"] = [{"image_id": 7, "category_id": 1}]
    content["categories"] = [{"id": 1, "name": "cat"}]
    objects = tmp_path / "b.json"
    objects.write_text(json.dumps(content))
    (part,) = coco.READER.find(str(objects), Context(labels_only=True)).parts
    said = {i.image_id: i.classes for i in coco.READER.read(part)}
    assert said == {"coco/a.jpg": ("coco:cat",), "coco/b.jpg": ()}
    assert {i.image_id for i in read(path)} == said.keys()


def test_malformed_captions_become_rejections(tmp_path):
    entries = [{"image_id": 9, "caption": "A dog"}, {"image_id": 7}, 3]
    *rejected, _, _ = read(write(tmp_path / "a.json", entries))
    assert [r.detail for r in rejected] == [
        "image_id 9 is in no image",
        "no image_id or caption",
        "no image_id or caption",
    ]
    assert {r.reason for r in rejected} == {Reason.MALFORMED_RECORD}


def test_rows_of_a_table_have_captions(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text(
        'image,caption\na.jpg,"A dog,\nwhich is asleep"\na.jpg,a zebra\n'
        "b.jpg,no dog\n..,a dog\n"
    )
    first, second, third, bad = read(path)
    assert first == AnnotatedImage(
        "csv/a.jpg",
        Source.CAPTIONS,
        (DOG,),
        (0.8,),
        ImageRef(str(tmp_path / "a.jpg")),
    )
    assert (second.classes, third.classes) == ((ZEBRA,), ())
    assert bad.reason == Reason.MALFORMED_ROW
    path = tmp_path / "metadata.jsonl"
    row = {"file_name": "a.jpg", "text": ["a zebra", "a dog"]}
    path.write_text(json.dumps(row) + '\n{"file_name": "b.jpg", "text": 3}\n')
    good, bad = read(path, labels_only=True)
    assert (good.classes, good.ref) == ((ZEBRA, DOG), None)
    assert bad.detail == "caption '3': a text is needed"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "[]", "a JSON object with images and annotations is needed"),
        ("a.csv", "image,label\na,dog\n", "label column .caption, captions"),
        ("a.csv", "", "an empty file"),
        ("a.parquet", "x", "of Parquet are read with --parquet"),
        ("a.csv", "url,caption\nhttps://x/a,dog\n", "names URLs"),
    ],
)
def test_other_files_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        find(tmp_path / name)


def test_rows_of_delimiters_alone_are_no_rows(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("image,caption\na.jpg,A dog\n,\n,\n")
    (image,) = read(path)
    assert (image.image_id, image.classes) == ("csv/a.jpg", (DOG,))
