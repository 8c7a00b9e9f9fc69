"""Squares are detected and segmented, from files to figures."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from beam_jobs.errors import InputError
from beam_jobs.sources.find_sources import SourcePaths
from model import checkpoint_files
from model import workdir as files
from model.config import override
from model.evaluation.regions import evaluate_regions
from model.network.load_tagger import load_model, load_tagger
from model.training.options import TrainOptions
from model.transfer import learn_regions
from model.transfer.learn_regions import learn
from model.transfer.region_options import RegionOptions
from tests.helpers.squares import squares_config, write_squares

FAST = ("schedule.learning_rate=5e-3", "head.filters=32")


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares")
    write_squares(folder)
    return folder


def sources_of(folder, task):
    if task == "detection":
        return SourcePaths(
            coco=(str(folder / "instances.json"),),
            images=(str(folder / "images"),),
        )
    return SourcePaths(
        masks=(str(folder / "masks"),),
        mask_classes=str(folder / "classes.csv"),
    )


def run(task, folder, workdir, *changes, epochs=20, **options):
    made = RegionOptions(sources_of(folder, task), epochs=epochs, **options)
    return learn(task, made, workdir, None, squares_config(), (*FAST, *changes))


@pytest.fixture(name="detected", scope="module")
def fixture_detected(folder, tmp_path_factory):
    return run("detection", folder, tmp_path_factory.mktemp("detected"))


@pytest.fixture(name="segmented", scope="module")
def fixture_segmented(folder, tmp_path_factory):
    return run("segmentation", folder, tmp_path_factory.mktemp("segmented"))


def test_squares_are_detected(detected):
    values = json.loads((detected.run / "detection.json").read_text())
    assert values["voc"] > 0.6
    assert values["coco"] < values["coco50"]
    assert set(values["per_class"]) == {"blue", "red"}
    assert values["images"] == 24 - _trained(detected)
    with Image.open(detected.run / "detection.png") as image:
        assert image.width > 800
    assert shown(detected.run, "detection") == {"detection"}


def test_squares_are_segmented(segmented):
    values = json.loads((segmented.run / "segmentation.json").read_text())
    assert values["mean_iou"] > 0.6
    assert set(values["per_class"]) == {"background", "blue", "red"}
    with Image.open(segmented.run / "segmentation.png") as image:
        assert np.asarray(image).std() > 10
    assert shown(segmented.run, "segmentation") == {"segmentation"}


def shown(run, name):
    """Returns the names of the pictures in TensorBoard."""
    (events,) = (run / "logs" / name).iterdir()
    return {
        value.tag
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }


def _trained(found):
    text = (found.dataset / "manifest.json").read_text()
    return json.loads(text)["splits"]["train"]["images"]


def test_a_second_call_has_nothing_to_do(folder, detected, capsys):
    before = (detected.run / "model.weights.h5").stat().st_mtime_ns
    again = run("detection", folder, detected.run.parent)
    assert (again.run / "model.weights.h5").stat().st_mtime_ns == before
    assert again.report.figures == detected.report.figures
    assert "is trained already" in capsys.readouterr().out


@pytest.mark.large
@pytest.mark.ci
def test_what_detects_is_no_tagger_but_starts_one(detected, folder, tmp_path):
    with pytest.raises(InputError, match="task detection; a tagger is needed"):
        load_tagger(detected.run)
    made = RegionOptions(sources_of(folder, "segmentation"), epochs=1)
    found = learn("segmentation", made, tmp_path, str(detected.run), None)
    model, theirs = load_model(found.run), load_model(detected.run)
    # Statistics are frozen with their scale; kernels learn.
    norm = "stage1_block1_1_bn"
    for mine, other in zip(
        model.backbone.get_layer(norm).weights,
        theirs.backbone.get_layer(norm).weights,
        strict=True,
    ):
        assert (mine.numpy() == other.numpy()).all()
    start = json.loads((found.run / "start.json").read_text())
    assert start["kind"] == "training"
    kernel = "stage1_block1_1_conv"
    mine, other = (
        m.backbone.get_layer(kernel).kernel.numpy() for m in (model, theirs)
    )
    assert 0 < np.abs(mine - other).max() < 0.1


@pytest.mark.parametrize(
    ("task", "given", "match"),
    [
        ("segmentation", "detection", "name their folder with --masks"),
        ("detection", "segmentation", "masks are for `transfer segment`"),
    ],
)
def test_the_wrong_sources_are_refused(folder, tmp_path, task, given, match):
    made = RegionOptions(sources_of(folder, given))
    with pytest.raises(InputError, match=match):
        learn(task, made, tmp_path, None, squares_config())
    assert not list(tmp_path.iterdir())


def test_another_data_set_has_a_report_of_its_own(segmented, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(segmented.dataset, other)
    text = (other / "manifest.json").read_text()
    values = json.loads(text)
    assert values["fingerprint"]
    values["fingerprint"] = "0" * 64
    (other / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match="trained on all .* train images"):
        evaluate_regions(segmented.run, other, "train")
    found = evaluate_regions(segmented.run, other)
    assert found.judge.left_out == 0
    assert found.files[0].parent.parent.parent.name == "evaluation"
    same = segmented.report.figures
    assert found.figures["mean_iou"] == same["mean_iou"]
    assert same["dataset"]["is_trained_on"]


def test_nothing_to_judge_by_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="no images to judge by"):
        run("detection", folder, tmp_path, splits="train=1")


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_source_whose_answers_are_mirrored_will_do(task):
    config = override(
        squares_config(), ["network.mirrored=True", "data.cutmix_alpha=1.0"]
    )
    options = RegionOptions(sources=SourcePaths())
    made = learn_regions._config(task, config, options, "runs/first", 8)
    assert made.head.task == task
    assert not made.network.mirrored and not made.data.mixes


def test_a_network_is_needed(folder, tmp_path):
    made = RegionOptions(sources_of(folder, "detection"))
    with pytest.raises(InputError, match="network with --config: there is no"):
        learn("detection", made, tmp_path, None)


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_two_workers_learn_what_is_equal_on_both(
    folder, tmp_path, task, capsys
):
    made = RegionOptions(sources_of(folder, task), epochs=1)
    workers = TrainOptions(local_workers=2)
    changes = (*FAST, "network.precision=mixed_bfloat16")
    learn(task, made, tmp_path, None, squares_config(), changes, workers)
    assert "2 workers, equal weights" in capsys.readouterr().out


@pytest.mark.large
@pytest.mark.ci
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_one_that_was_killed_goes_on_to_the_same_weights(
    folder, tmp_path, task
):
    changes = ("checkpoint.every_steps=1", "checkpoint.keep=100")
    found = run(task, folder, tmp_path, *changes, epochs=3)
    result = json.loads((found.run / files.RESULT).read_text())
    # As it was in the second epoch, after 3 of 6 steps.
    checkpoint_files.remove_after(found.run, 3)
    for name in (files.RESULT, files.WEIGHTS):
        (found.run / name).unlink()
    run(task, folder, tmp_path, *changes, epochs=3)
    again = json.loads((found.run / files.RESULT).read_text())
    assert again["weights_sha256"] == result["weights_sha256"]
