"""Tests of beam_jobs.sources.masks."""

import numpy as np
import pytest
from PIL import Image

from beam_jobs.errors import InputError
from beam_jobs.images import regions
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason
from beam_jobs.sources import masks
from beam_jobs.sources.reader import Context

NAMES = "id,name\n0,unlabeled\n1,dog\n7,cat\n"


def write(folder, name="masks", **found):
    (folder / name).mkdir()
    (folder / "images").mkdir()
    for stem, ids in found.items():
        Image.new("RGB", (3, 2)).save(folder / "images" / f"{stem}.jpg")
        data = regions.write_mask(np.array(ids, np.uint8))
        (folder / name / f"{stem}.png").write_bytes(data)
    (folder / "names.csv").write_text(NAMES)
    return str(folder / name), (("mask_classes", str(folder / "names.csv")),)


def read(folder, options, **context):
    parts = masks.READER.find(folder, Context(options, **context)).parts
    return [item for part in parts for item in masks.READER.read(part)]


def test_classes_are_those_of_the_pixels(tmp_path):
    folder, options = write(
        tmp_path, a=[[0, 7, 255], [1, 7, 7]], b=[[0, 0, 0], [0, 0, 255]]
    )
    first, second = read(folder, options)
    assert first.image_id == "masks/a.jpg"
    assert (first.source, first.classes) == (
        Source.MASKS,
        ("masks:dog", "masks:cat"),
    )
    assert first.ref.path == f"{tmp_path}/images/a.jpg"
    assert first.regions.size == "3x2"
    [mask] = first.regions.masks
    assert mask.keys == first.classes
    assert regions.read_mask(mask.png).tolist() == [[0, 2, 255], [1, 2, 2]]
    assert second.classes == ()


def test_what_is_wrong_with_a_mask_is_said(tmp_path):
    folder, options = write(tmp_path, a=[[3, 0, 0]], b=[[1, 0, 0]])
    (tmp_path / "masks" / "c.png").write_bytes(b"none")
    letters = [r for r in read(folder, options) if hasattr(r, "reason")]
    assert [r.reason for r in letters] == [Reason.MALFORMED_RECORD] * 2
    assert letters[0].detail == "id 3 has no name: 2 have one"
    assert letters[0].path == f"{folder}/a.png"
    assert letters[1].detail.startswith("no mask")


def test_names_of_voc_go_without_saying(tmp_path):
    folder, _ = write(tmp_path, "SegmentationClass", a=[[15, 20, 255]])
    [image] = read(folder, ())
    assert image.classes == ("masks:person", "masks:tvmonitor")
    sets = tmp_path / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    (sets / "train.txt").write_text("b\n")
    (sets / "val.txt").write_text("a\n")
    masks.image_sets.cache_clear()
    [image] = read(folder, (), keep_splits=True)
    assert image.split == "validation"


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ("1,dog\n1,cat\n", "names.csv:2: ids are 0 to 254, each once"),
        ("255,dog\n", ":1: ids are 0 to 254"),
        ("id,name\ndog\n", "names.csv:2: an id and a name"),
    ],
)
def test_bad_names_are_refused(tmp_path, names, match):
    folder, options = write(tmp_path, a=[[1]])
    (tmp_path / "names.csv").write_text(names)
    with pytest.raises(InputError, match=match):
        read(folder, options)


def test_what_is_missing_is_named(tmp_path):
    folder, options = write(tmp_path, a=[[1]])
    with pytest.raises(InputError, match="--mask-classes FILE"):
        read(folder, ())
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="--masks needs .* --images FOLDER"):
        read(folder, options)
    assert read(folder, options, labels_only=True)[0].ref is None
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no masks"):
        read(str(tmp_path / "none"), options)
