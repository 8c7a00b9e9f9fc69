"""Folders of images become a classifier, which is served."""

import dataclasses
import json

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import LossConfig
from model.inputs.input_pipeline import make_eval_dataset
from model.network.load_tagger import load_tagger
from model.training.train import train
from model.transfer.classify import classify
from model.transfer.options import ClassifyOptions
from tests.helpers.configs import QUIET
from tests.helpers.images import encode
from tests.helpers.tars import write_tar

COLOURS = {"blue": (30, 30, 220), "green": (20, 190, 30), "red": (220, 20, 30)}
WNIDS = ("n01443537", "n01494475", "n02084071")
CHANGES = ("schedule.batch_size=8", "schedule.epochs=8", "logging.images=0")


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    """Returns a folder with noisy images of three colours."""
    folder, rng = tmp_path_factory.mktemp("raw"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / name).mkdir()
        for i in range(12):
            noise = rng.integers(-30, 30, (40, 40, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255)
            content = encode(pixels.astype(np.uint8))
            (folder / name / f"{i}.jpg").write_bytes(content)
    return folder


@pytest.fixture(name="source", scope="module")
def fixture_source(tmp_path_factory, tiny_dataset, tiny_config):
    folder = tmp_path_factory.mktemp("source")
    config = dataclasses.replace(tiny_config(epochs=1), logging=QUIET)
    train(config, tiny_dataset, folder)
    return folder


def run(folder, workdir, source, **options):
    made = ClassifyOptions(folder=str(folder), train_per_class=8, **options)
    return classify(made, workdir, str(source), changes=CHANGES)


def test_colours_are_told_apart(folder, source, tmp_path, capsys):
    found = run(folder, tmp_path, source)
    assert "36 images in = 36 out" in capsys.readouterr().out
    assert found.images == 12
    assert found.top_1 == 1.0
    values = json.loads(found.files[0].read_text())
    assert values["top_5"] == 1.0
    tagger = load_tagger(found.runs[-1])
    rows = make_eval_dataset(
        found.dataset, tagger.config.data, classes=3, batch_size=12
    )
    images, _ = next(iter(rows))
    scores = tagger.scores(tagger(images))
    np.testing.assert_allclose(np.sum(scores, axis=1), 1, rtol=1e-5)


def test_sizes_one_after_the_other_and_ten_crops(folder, source, tmp_path):
    found = run(
        folder, tmp_path, source, image_sizes=(16, 24), crops=10, seed=1
    )
    assert [r.name for r in found.runs] == ["size-16", "size-24"]
    start = json.loads((found.runs[1] / "start.json").read_text())
    assert start["source"] == str(found.runs[0])
    # The head goes on, too.
    assert start["classes"] == [0, 1, 2]
    assert found.top_1 == 1.0


def test_what_is_averaged_is_seen_at_a_larger_size(folder, source, tmp_path):
    found = run(folder, tmp_path, source, recipe="frozen_ema")
    names = [r.name for r in found.runs]
    # 9/7 of 16.
    assert names == ["size-16", "size-16-seen-at-21"]
    assert found.images == 12
    one, other = map(load_tagger, found.runs)
    assert other.config.data.image_size == 21
    assert other.config.schedule == one.config.schedule
    assert other.config.schedule.average == 0.9998
    for here, there in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(here, there)


def test_a_head_on_features_of_tars(folder, source, tmp_path):
    tars = tmp_path / "tars"
    tars.mkdir()
    for wnid, colour in zip(WNIDS, COLOURS, strict=True):
        images = sorted((folder / colour).iterdir())
        members = {f"{wnid}_{p.name}": p.read_bytes() for p in images}
        write_tar(tars / f"{wnid}.tar", members)
    found = run(tars, tmp_path / "out", source, recipe="probe")
    assert (found.runs[-1] / "features.npy").is_file()
    assert found.images == 12
    values = json.loads(found.files[0].read_text())
    assert values["per_class"].keys() == set(WNIDS)


def test_a_class_whose_images_are_broken_is_named(folder, source, tmp_path):
    for name in ("blue", "red"):
        for image in sorted((folder / name).iterdir())[:4]:
            place = tmp_path / "raw" / "train" / name / image.name
            place.parent.mkdir(parents=True, exist_ok=True)
            content = image.read_bytes()
            place.write_bytes(content[:100] if name == "red" else content)
        held = tmp_path / "raw" / "test" / name
        held.mkdir(parents=True)
        last = sorted((folder / name).iterdir())[-1]
        (held / "0.jpg").write_bytes(last.read_bytes())
    with pytest.raises(InputError, match="be read of 1 classes: red; see"):
        run(tmp_path / "raw", tmp_path / "out", source)


def test_crops_are_one_or_ten(folder):
    with pytest.raises(InputError, match="crops must be 1 or 10; received: 5"):
        ClassifyOptions(folder=str(folder), crops=5)


def test_ten_crops_need_what_is_around_the_middle(folder):
    with pytest.raises(InputError, match="test_size must be left out with 10"):
        ClassifyOptions(folder=str(folder), crops=10, test_size=32)


def test_images_of_several_classes_are_refused(
    tiny_dataset, tiny_config, tmp_path
):
    config = dataclasses.replace(tiny_config(), loss=LossConfig(kind="softmax"))
    with pytest.raises(InputError, match="24 images have [0-9]+ labels"):
        train(config, tiny_dataset, tmp_path)


def test_without_a_network_it_is_refused(folder, tmp_path):
    options = ClassifyOptions(folder=str(folder))
    with pytest.raises(InputError, match="name the network with --config"):
        classify(options, tmp_path / "new", None)
    assert not (tmp_path / "new").exists()
