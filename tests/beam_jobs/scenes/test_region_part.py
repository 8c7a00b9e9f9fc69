"""Tests of beam_jobs.scenes.region_part."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from beam_jobs.errors import InputError
from beam_jobs.scenes.region_part import CLASSES, draw_region_scene
from beam_jobs.scenes.write_scenes import write_region_scenes

SIDE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_region_scenes(
        folder, scenes=14, a_folder=2, image_size=SIDE, progress=False
    )
    return folder / "regions"


def test_boxes_enclose_what_the_masks_say(folder):
    content = json.loads((folder / "instances.json").read_text())
    assert len(content["images"]) == 14
    of_image = {}
    for thing in content["annotations"]:
        of_image.setdefault(thing["image_id"], []).append(thing)
    for image in content["images"]:
        stem = image["file_name"].removesuffix(".jpg")
        mask = np.asarray(Image.open(folder / "masks" / f"{stem}.png"))
        things = of_image[image["id"]]
        present = {t["category_id"] for t in things}
        # Another may cover one nearly.
        assert set(np.unique(mask)) - {0} <= present
        covered = np.zeros_like(mask, bool)
        for thing in things:
            left, top, width, height = (round(v) for v in thing["bbox"])
            inside = mask[top : top + height, left : left + width]
            assert (inside == thing["category_id"]).mean() > 0.1
            covered[top : top + height, left : left + width] = True
        assert not mask[~covered].any()


def test_each_class_has_a_name_a_folder_and_scenes(folder):
    with (folder / "classes.csv").open() as file:
        names = {int(r["id"]): r["name"] for r in csv.DictReader(file)}
    assert sorted(names) == list(range(1, CLASSES + 1))
    folders = sorted(p.name for p in (folder / "folders").iterdir())
    assert folders == sorted(names.values())
    assert all(
        len(list((folder / "folders" / n).iterdir())) == 2 for n in folders
    )
    content = json.loads((folder / "instances.json").read_text())
    assert {t["category_id"] for t in content["annotations"]} == set(names)


def test_the_same_seed_gives_the_same_scene():
    first, second = (draw_region_scene(SIDE, 3, 5) for _ in range(2))
    assert first.jpeg == second.jpeg
    assert (first.mask == second.mask).all()
    assert first.jpeg != draw_region_scene(SIDE, 4, 5).jpeg


def test_what_is_there_is_not_written_over(folder):
    with pytest.raises(InputError, match="regions already exists"):
        write_region_scenes(folder.parent, scenes=1, a_folder=2)
    with pytest.raises(InputError, match="scenes must be at least 1"):
        write_region_scenes(folder.parent / "new", scenes=0, a_folder=2)
