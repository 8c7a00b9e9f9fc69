"""Boxes and masks on their way through the job, and a relabelling."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from beam_jobs.cli_options import build_options
from beam_jobs.dataset import records
from beam_jobs.dataset_job.options import DatasetOptions, RelabelOptions
from beam_jobs.dataset_job.relabel import relabel
from beam_jobs.errors import InputError
from beam_jobs.images import regions
from tests.helpers.datasets import build, read_examples
from tests.helpers.images import noise_image

# Width and height 40 and 20; EXIF turns the last one upright, 20 and 40.
_NAMES = ("good", "twice", "smaller", "turned", "upright")
_TURN = 6


def write_coco(folder, name="instances.json", boxes=None):
    """Writes five images with a dog each, and a cat in the second."""
    images = folder / "images"
    images.mkdir(exist_ok=True)
    entries, things = [], []
    for number, stem in enumerate(_NAMES):
        path = images / f"{stem}.jpg"
        path.write_bytes(noise_image(number, (20, 40)))
        if stem in ("turned", "upright"):
            exif = Image.Exif()
            exif[0x0112] = _TURN
            Image.open(path).save(path, exif=exif, quality=95)
        size = {"smaller": (20, 10), "upright": (20, 40)}.get(stem, (40, 20))
        sides = dict(zip(("width", "height"), size, strict=True))
        entries.append({"id": number, "file_name": path.name, **sides})
        things.append(thing(number, 1, [2, 2, 8, 4]))
    things += boxes or [thing(1, 2, [0, 0, 40, 20])]
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}]
    content = {
        "images": entries,
        "annotations": things,
        "categories": categories,
    }
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


def thing(image, category, bbox):
    return {"image_id": image, "category_id": category, "bbox": bbox}


def build_with(folder, **changes):
    given = {
        "min_images_open_images": 1,
        "splits": "train=1",
        "out": str(folder / "dataset"),
        **changes,
    }
    return build(build_options(DatasetOptions, given))


def objects(record, names):
    boxes = record[records.OBJECT_BOX].reshape(-1, 4).tolist()
    classes = [names[i] for i in record[records.OBJECT_CLASS]]
    return sorted(zip(classes, boxes, strict=True))


def names_of(dataset):
    rows = (dataset / "vocabulary.tsv").read_text().splitlines()[1:]
    return {int(r.split("\t")[0]): r.split("\t")[1] for r in rows}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    # One file says the dogs, another the cat, and a dog again.
    first = write_coco(folder, boxes=[thing(0, 1, [2, 2, 8, 4])])
    cats = [thing(1, 2, [0, 0, 40, 20])]
    second = write_coco(folder, "more.json", boxes=cats)
    images = str(folder / "images")
    manifest = build_with(
        folder, coco=[first, second], images=[images], boxes=True
    )
    return folder, manifest


def test_boxes_reach_the_records_each_once(folder):
    folder, manifest = folder
    found = read_examples(folder / "dataset")
    assert set(found) == {f"coco/{n}.jpg" for n in ("good", "twice", "upright")}
    names = names_of(folder / "dataset")
    dog, cat = "n02084071", "n02121620"
    assert objects(found["coco/good.jpg"], names) == [
        (dog, pytest.approx([0.1, 0.05, 0.3, 0.25]))
    ]
    assert objects(found["coco/twice.jpg"], names) == [
        (dog, pytest.approx([0.1, 0.05, 0.3, 0.25])),
        (cat, [0.0, 0.0, 1.0, 1.0]),
    ]
    assert found["coco/good.jpg"][records.OBJECT_FLAG].tolist() == [0]


def test_boxes_of_another_image_are_dead_letters(folder):
    folder, manifest = folder
    assert manifest.images == {"in": 5, "out": 3, "rejected": 2}
    path = folder / "dataset" / "dead_letters" / "other_size.jsonl"
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    assert {r["item"]: r["detail"] for r in letters} == {
        "coco/smaller.jpg": "its boxes or mask are of 20x10 pixels, the "
        "image has 40x20",
        "coco/turned.jpg": "its boxes or mask are of 40x20 pixels, the image "
        "has 20x40",
    }


def test_an_image_of_a_bad_box_is_no_background(folder, tmp_path):
    folder, _ = folder
    bad = [thing(1, 2, [0, 0, 90, 20]), thing(0, 7, [1, 1, 2, 2])]
    path = write_coco(folder, "bad.json", boxes=bad)
    images = [str(folder / "images")]
    manifest = build_with(tmp_path, coco=[path], images=images, boxes=True)
    assert manifest.images == {"in": 5, "out": 1, "rejected": 4}
    letters = tmp_path / "dataset" / "dead_letters" / "bad_box.jsonl"
    said = {
        row["item"]: row["detail"]
        for row in map(json.loads, letters.read_text().splitlines())
    }
    assert said["coco/twice.jpg"].startswith("annotations[5]: the box")
    assert said["coco/good.jpg"] == "annotations[6] is of no category"


def test_a_relabelled_data_set_keeps_its_boxes(folder):
    folder, _ = folder
    out = folder / "relabelled"
    relabel(RelabelOptions(str(folder / "dataset"), str(out)))
    before, after = read_examples(folder / "dataset"), read_examples(out)
    for name, record in before.items():
        for feature in (records.OBJECT_BOX, records.OBJECT_CLASS):
            assert (record[feature] == after[name][feature]).all()
        assert len(record[records.OBJECT_BOX])


def test_without_the_option_records_have_no_boxes(folder, tmp_path):
    folder, _ = folder
    build_with(
        tmp_path,
        coco=[str(folder / "more.json")],
        images=[str(folder / "images")],
    )
    for record in read_examples(tmp_path / "dataset").values():
        assert not len(record[records.OBJECT_BOX])


def test_masks_have_the_numbers_of_the_vocabulary(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "images").mkdir()
    for number, ids in enumerate(([9, 0], [4, 255])):
        rows = np.tile(np.array(ids, np.uint8), (20, 20))
        data = regions.write_mask(rows)
        (tmp_path / "masks" / f"{number}.png").write_bytes(data)
        image = noise_image(number, (20, 40))
        (tmp_path / "images" / f"{number}.jpg").write_bytes(image)
    (tmp_path / "names.csv").write_text("4,dog\n9,cat\n")
    build_with(
        tmp_path,
        masks=[str(tmp_path / "masks")],
        mask_classes=str(tmp_path / "names.csv"),
    )
    names = names_of(tmp_path / "dataset")
    numbers = {wnid: index + 1 for index, wnid in names.items()}
    first, second = (
        regions.read_mask(record[records.IMAGE_MASK])
        for _, record in sorted(read_examples(tmp_path / "dataset").items())
    )
    assert first[0, :2].tolist() == [numbers["n02121620"], 0]
    assert second[0, :2].tolist() == [numbers["n02084071"], 255]
    assert first.shape == (20, 40)


def test_who_has_no_boxes_is_refused(tmp_path):
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "a.jpg").write_bytes(noise_image(0))
    with pytest.raises(
        InputError, match="--boxes is for --open-images, --coco"
    ):
        build_with(tmp_path, folders=[str(tmp_path)], boxes=True)
