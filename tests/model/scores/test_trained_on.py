"""Which data set a training has seen, by fingerprints, ids and bytes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model.scores import trained_on
from model.workdir import DATASET, DATASET_PATH
from tests.helpers.datasets import coloured_square, write_shards


def write(folder, fingerprint, **splits):
    """Writes a data set of squares, a list of numbers a split."""
    folder.mkdir()
    manifest = json.dumps({"fingerprint": fingerprint})
    (folder / dataset_folder.MANIFEST).write_text(manifest)
    for split, squares in splits.items():
        write_shards(folder, split, [coloured_square(i) for i in squares], 2)
    return folder


@pytest.fixture
def own(tmp_path):
    return write(tmp_path / "own", "aa" * 8, train=[0, 1, 2, 3])


@pytest.fixture
def run(tmp_path, own):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / DATASET).write_text(json.dumps({"fingerprint": "aa" * 8}))
    (folder / DATASET_PATH).write_text(f"{own}\n")
    return folder


def test_its_own_data_set(run, own):
    judge = trained_on.judge(run, own, "validation")
    assert judge.is_own is True
    assert judge.describe(run) is None
    judge = trained_on.judge(run, own, "train")
    assert judge.describe("run") == "run was trained on these images"


def test_another_data_set(tmp_path, run):
    other = write(tmp_path / "other", "bb" * 8, train=[4])
    judge = trained_on.judge(run, other, "validation")
    assert judge.folder == "other-bbbbbbbb"
    assert judge.to_json() == {
        "name": "other",
        "fingerprint": "bb" * 8,
        "trained_on": "aa" * 8,
        "is_trained_on": False,
        "training_images_left_out": None,
    }
    said = judge.describe("run")
    assert said.startswith("this is not the data set that run was trained on")
    assert "validation images may be training images" in said


def test_a_training_that_names_no_data_set(tmp_path, own):
    judge = trained_on.judge(tmp_path, own, "validation")
    assert judge.is_own is None
    assert "does not say which data set" in judge.describe("run")


def test_its_data_set_is_found_where_it_lay(run, own):
    assert trained_on.find_trained_on(run, None) == str(own)
    # Made anew in its place: it says nothing of what was trained on.
    (own / dataset_folder.MANIFEST).write_text('{"fingerprint": "cc"}')
    assert trained_on.find_trained_on(run, None) is None
    (own / dataset_folder.MANIFEST).unlink()
    assert trained_on.find_trained_on(run, None) is None


def test_its_data_set_is_given(tmp_path, run, own):
    moved = own.rename(tmp_path / "moved")
    assert trained_on.find_trained_on(run, None) is None
    assert trained_on.find_trained_on(run, str(moved)) == str(moved)
    other = write(tmp_path / "other", "bb" * 8, train=[4])
    with pytest.raises(InputError, match="another data set.*aaaa; received"):
        trained_on.find_trained_on(run, str(other))
    with pytest.raises(InputError, match="is no data set"):
        trained_on.find_trained_on(run, str(tmp_path))


def test_training_images_by_id_or_bytes(tmp_path, own):
    other = write(tmp_path / "other", "bb" * 8)
    same_id = replace(coloured_square(9), image_id="imagenet/1")
    same_bytes = replace(coloured_square(2), image_id="csv/2")
    rows = [coloured_square(7), same_id, same_bytes, coloured_square(8)]
    write_shards(other, "validation", rows)
    seen = trained_on.trained_images(str(own), other, "validation")
    np.testing.assert_array_equal(seen, [False, True, True, False])
