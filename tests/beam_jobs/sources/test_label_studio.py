import json

import pytest

from beam_jobs.errors import InputError
from beam_jobs.images.image_names import download_name
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources import label_studio
from beam_jobs.sources.reader import AnnotatedImage, Context


def annotation(*values, **further):
    results = [{"id": "x", "type": "any", "value": v} for v in values]
    return {"id": 1, "result": results, **further}


def task(image, *annotations):
    return {"id": 1, "data": {"image": image}, "annotations": [*annotations]}


def find(path, *options, **further):
    return label_studio.READER.find(str(path), Context(options, **further))


def read(folder, tasks, *options, **further):
    path = folder / "export.json"
    path.write_text(json.dumps(tasks))
    options = (("images", str(folder)), *options)
    (part,) = find(path, *options, **further).parts
    return list(label_studio.READER.read(part))


@pytest.fixture
def folder(tmp_path):
    for name in ("c.jpg", "photos/d e.jpg", "1/90fbb0c7-a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_choices_and_regions_of_all_annotators_are_positives(folder):
    region = {"x": 1, "points": [[1, 2]], "rectanglelabels": ["dog"]}
    tasks = [
        task(
            "/data/upload/4/c.jpg",
            annotation({"choices": ["cat", "wine glass"]}, region),
            annotation({"choices": "cat"}, {"text": ["a note"]}),
            annotation({"choices": ["bird"]}, was_cancelled=True),
        )
    ]
    tasks[0]["predictions"] = [annotation({"choices": ["fish"]})]
    labels = ("cat", "wine glass", "dog")
    assert read(folder, tasks) == [
        AnnotatedImage(
            "label_studio/c.jpg",
            Source.LABEL_STUDIO,
            tuple(f"label_studio:{text}" for text in labels),
            (1.0,) * 3,
            ImageRef(str(folder / "c.jpg")),
        )
    ]


def test_cancelled_and_empty_tasks_are_images_without_classes(folder):
    cancelled = annotation({"choices": ["bird"]}, was_cancelled=True)
    found = read(folder, [task("c.jpg", cancelled), task("photos/d e.jpg")])
    assert [i.classes for i in found] == [(), ()]


@pytest.mark.parametrize(
    ("image", "path"),
    [
        ("/data/local-files/?d=x/photos/d%20e.jpg", "photos/d e.jpg"),
        ("/data/upload/4/942a5a02-c.jpg", "c.jpg"),
        ("images\\1/90fbb0c7-a.jpg", "1/90fbb0c7-a.jpg"),
        ("https://h/a.jpg", download_name("https://h/a.jpg")),
    ],
)
def test_images_are_found_by_the_names_it_gives_them(folder, image, path):
    (found,) = read(folder, [task(image)])
    assert found.ref == ImageRef(str(folder / path))


def test_a_missing_image_keeps_its_name(folder):
    (found,) = read(folder, [task("/data/upload/4/942a5a02-gone.jpg")])
    assert found.image_id == "label_studio//data/upload/4/942a5a02-gone.jpg"
    (found,) = read(folder, [task("c.jpg")], labels_only=True)
    assert found.ref is None


def test_the_last_name_of_a_way_through_a_taxonomy_is_the_class(folder):
    value = {"taxonomy": [["animal", "dog"], ["plant"]]}
    (found,) = read(folder, [task("c.jpg", annotation(value))])
    assert found.classes == ("label_studio:dog", "label_studio:plant")


def test_the_short_form_is_read(folder):
    tasks = [
        {
            "id": 1,
            "picture": "/data/upload/c.jpg",
            "choice": {"choices": ["cat", "bird"]},
            "label": [{"x": 1, "rectanglelabels": ["dog"]}],
            "annotator": 1,
        },
        {"image": "c.jpg", "choice": "fish"},
    ]
    found, fish = read(folder, tasks)
    assert fish.classes == ("label_studio:fish",)
    labels = ("cat", "bird", "dog")
    assert found.classes == tuple(f"label_studio:{x}" for x in labels)
    assert found.image_id == "label_studio/c.jpg"


def test_malformed_tasks_become_rejections(folder):
    tasks = [
        task("c.jpg", annotation({"choices": ["cat"]})),
        3,
        {"data": {"text": "no image"}, "annotations": []},
        {"data": {"a": "a.jpg", "b": "b.jpg"}},
        task("c.jpg", annotation({"choices": [1]})),
        task("c.jpg", 5),
        {"data": {"image": "c.jpg"}, "annotations": {}} | {"completions": 7},
        task("ftp://h/a.jpg"),
        task("c.jpg", annotation({"choices": ["\ud800"]})),
    ]
    found = read(folder, tasks)
    rejected = [i for i in found if isinstance(i, Rejection)]
    images = [i for i in found if isinstance(i, AnnotatedImage)]
    # A task with an image counts, whatever is wrong with its labels.
    labels = ("label_studio:cat",)
    assert [i.classes for i in images] == [labels, (), (), (), ()]
    path = folder / "export.json"
    assert [r.item for r in rejected] == [f"{path}:[{i}]" for i in range(1, 9)]
    assert [r.detail.partition(";")[0] for r in rejected[:6]] == [
        "'3': a task is needed",
        "data with one image is needed",
        "data with one image is needed",
        "choices '[1]': no texts",
        "annotation '5': no object",
        "a list of annotations is needed",
    ]
    assert rejected[6].reason == Reason.BAD_URL
    (found,) = read(folder, tasks[3:4], ("image_column", "b"))
    assert found.image_id == "label_studio/b.jpg"


def test_a_malformed_file_is_a_rejection_of_all(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"data": ]')
    (part,) = find(path).parts
    (rejection,) = label_studio.READER.read(part)
    assert rejection.reason == Reason.UNREADABLE_SOURCE


@pytest.mark.parametrize("text", ["", "{}", "[", "[{}"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match="empty file|a JSON list of tasks"):
        find(path)
