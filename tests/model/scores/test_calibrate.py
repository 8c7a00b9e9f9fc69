"""`calibrate` on scores, on files, and as a command."""

import json
import shutil

import numpy as np
import pytest
from scipy.special import expit

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.statistics import page
from beam_jobs.statistics.counts import Statistics
from model.evaluation.evaluate import evaluate, evaluate_scores
from model.network.load_tagger import load_tagger, weights_fingerprint
from model.network.tagger import Tagger
from model.scores import calibrate as calibrate_
from model.scores import tagging
from model.scores.calibrate import calibrate, calibrate_scores
from model.scores.coherent import bottom_up, coherent
from model.scores.options import CalibrateOptions
from model.scores.scoring import Scored
from model.workdir import CONFIG, DATASET, WEIGHTS
from tests.helpers.commands import run
from tests.helpers.datasets import write_dataset
from tests.helpers.teams import together

CLASSES = 40
TREE = Hierarchy([()] + [(0,)] * (CLASSES - 1))
RATES = np.linspace(0.5, 0.01, CLASSES)


def scored(seed, images=3000):
    """Scores whose odds are 12 times too high, as after a loss of eta 12.

    Who has any class has the first one, too.
    """
    random = np.random.default_rng(seed)
    logits = random.normal(np.log(RATES / (1 - RATES)), 2, (images, CLASSES))
    positive = random.random(logits.shape) < expit(logits)
    positive[:, 0] |= positive.any(axis=1)
    scores = coherent(expit(logits + np.log(12)), bottom_up(TREE))
    return [
        Scored(np.where(positive, 1, -1)[i : i + 500], scores[i : i + 500])
        for i in range(0, images, 500)
    ]


def test_calibrated_probabilities_come_true_elsewhere():
    found = calibrate_scores(scored(0), TREE, CalibrateOptions())
    own = found.calibration.values[1:10]
    np.testing.assert_allclose(own[:, 1], -np.log(12), atol=0.35)
    assert found.before.labels_expected > 1.5 * found.before.labels_observed
    assert found.after.labels_expected == pytest.approx(
        found.after.labels_observed, rel=0.02
    )
    fitted = tagging.Tagging(
        found.calibration.values, found.thresholds.values[:, 0], {}
    )
    counts = (100 * RATES).astype(int)
    judged = evaluate_scores(scored(1), TREE, counts, calibration=fitted)
    before, after = judged.reliability, judged.calibration.after
    assert (
        after.expected_calibration_error
        < 0.1 * before.expected_calibration_error
    )
    assert after.per_class_error < 0.5 * before.per_class_error
    tags = judged.calibration.tags
    assert tags["thresholds"].f1 > tags["probability 0.5"].f1
    assert tags["thresholds"].f1 > tags["score 0.5"].f1
    assert tags["thresholds"].macro_f1 > tags["probability 0.5"].macro_f1


def test_a_wished_precision_holds_elsewhere():
    options = CalibrateOptions(precision=0.8)
    found = calibrate_scores(scored(0), TREE, options)
    fitted = tagging.Tagging(
        found.calibration.values, found.thresholds.values[:, 0], {}
    )
    counts = (100 * RATES).astype(int)
    judged = evaluate_scores(scored(1), TREE, counts, calibration=fitted)
    # The first class is right of all images; of the last ones few have it.
    precision = judged.tags_of_classes[0][1:20].mean()
    assert precision == pytest.approx(0.8, abs=0.02)


def test_too_few_labels():
    batch = Scored(np.eye(CLASSES), np.full((CLASSES, CLASSES), 0.5))
    with pytest.raises(InputError, match="has 40 labels in all; a fit needs"):
        calibrate_scores([batch], TREE, CalibrateOptions())


def test_options_refuse():
    with pytest.raises(InputError, match="received: 2"):
        CalibrateOptions(precision=2)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """180 images: classes 1 to 3 below 0; a third of them to calibrate."""
    folder = tmp_path_factory.mktemp("calibrate") / "dataset"
    write_dataset(folder, images=180)
    shard = folder / dataset_folder.shard_path(dataset_folder.TRAIN, 0, 2)
    target = folder / dataset_folder.shard_path(
        dataset_folder.CALIBRATION, 0, 1
    )
    target.parent.mkdir()
    target.write_bytes(shard.read_bytes())
    vocabulary = Vocabulary.load(folder / load_classes.VOCABULARY)
    train = Statistics(len(vocabulary))
    train.images = 180
    train.class_rules[0, Rule.ANCESTOR] = 180
    train.class_rules[1:4, Rule.ANNOTATED] = 60
    train.rule_sources[Rule.ANNOTATED, Source.IMAGENET] = 180
    page.write({"train": train}, folder / dataset_folder.STATISTICS, vocabulary)
    return folder


@pytest.fixture
def workdir(tmp_path, dataset, tiny_config):
    """A tagger that knows nothing but is sure of much."""
    folder = tmp_path / "run"
    folder.mkdir()
    config = tiny_config()
    tagger = Tagger(config, 5)
    tagger.head.kernel.assign(np.zeros(tagger.head.kernel.shape))
    tagger.head.bias.assign([4.0, 1.0, 1.0, 1.0, -3.0])
    (folder / CONFIG).write_text(config.to_json())
    tagger.save_weights(folder / WEIGHTS)
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        (folder / name).write_bytes((dataset / name).read_bytes())
    return folder


def options(**changes):
    return CalibrateOptions(
        least_for_calibration=20,
        least_for_threshold=20,
        progress=False,
        **changes,
    )


def test_calibrate_writes(workdir, dataset):
    found = calibrate(workdir, dataset, options())
    assert found.images == 90
    summary = json.loads((workdir / "calibration.json").read_text())
    assert summary["classes"]["calibration"] == {
        "class": 4,
        "subtree": 0,
        "global": 1,
        "none": 0,
    }
    assert summary["goal"] == "f1"
    assert summary["reliability"]["after"]["labels_expected"] == pytest.approx(
        2.0, abs=0.2
    )
    fitted = tagging.load(
        workdir,
        Vocabulary.load(workdir / load_classes.VOCABULARY),
        weights_fingerprint(load_tagger(workdir)),
    )
    # A third of the images has each of the classes 1 to 3.
    third = expit(fitted.calibration[1] @ [1.0, 1.0])
    assert third == pytest.approx(1 / 3, abs=0.03)


def test_another_data_set_is_said(workdir, dataset):
    (workdir / DATASET).write_text('{"fingerprint": "aa"}')
    result = run("calibrate", workdir, dataset, "--no-progress")
    assert (
        f"not the data set that {workdir} was trained on (where that lay is "
        "not noted there: no dataset_path.txt); its calibration images may be "
    ) in result.output
    summary = json.loads((workdir / "calibration.json").read_text())
    assert summary["data_set"]["is_trained_on"] is False
    assert summary["data_set"]["training_images_left_out"] is None
    # It is the training's own images that this split was copied from.
    own = shutil.copytree(dataset, workdir.parent / "own")
    (own / dataset_folder.MANIFEST).write_text('{"fingerprint": "aa"}')
    result = run("calibrate", workdir, dataset, "--trained-on", own)
    assert "trained on all 90 calibration images" in str(result.exception)


def test_calibrate_is_deterministic(workdir, dataset):
    def written(batch_size):
        calibrate(workdir, dataset, options(batch_size=batch_size))
        names = ("calibration.json", "thresholds.tsv")
        return [(workdir / name).read_bytes() for name in names]

    assert written(7) == written(64)


def test_all_workers_together_fit_what_one_does(workdir, dataset):
    def written(count):
        given = (workdir, str(dataset), options(batch_size=7), None)
        assert together(calibrate_._calibrate, given, count).images == 90
        names = ("calibration.json", "thresholds.tsv")
        return [(workdir / name).read_bytes() for name in names]

    assert written(1) == written(2) == written(3)


def test_evaluate_takes_it_up(workdir, dataset):
    calibrate(workdir, dataset, options())
    found = evaluate(workdir, dataset, options=options())
    assert found.calibration.goal == "f1"
    assert found.calibration.after.labels_expected == pytest.approx(
        2.0, abs=0.2
    )
    content = json.loads((workdir / "evaluation/validation.json").read_text())
    assert "thresholds" in content["calibration"]["tags"]
    # Both others of the three are verified absent.
    assert found.known.images == 6
    assert [r.origin for r in found.rules] == ["annotated", "ancestor"]
    assert [r.origin for r in found.sources] == ["imagenet"]


def test_more_training_makes_it_stale(workdir, dataset):
    calibrate(workdir, dataset, options())
    tagger = load_tagger(workdir)
    tagger.head.bias.assign(np.zeros(5))
    tagger.save_weights(workdir / WEIGHTS)
    with pytest.raises(InputError, match="fitted to other weights"):
        evaluate(workdir, dataset, options=options())


def test_no_calibration_split(workdir, tiny_dataset):
    with pytest.raises(InputError, match="has no calibration split") as error:
        calibrate(workdir, tiny_dataset, options())
    wanted = "--splits train=0.8,validation=0.1,calibration=0.1"
    assert wanted in str(error.value)


def test_command(workdir, dataset):
    result = run(
        "calibrate", workdir, dataset, "--precision", "0.3", "--no-progress"
    )
    assert result.exit_code == 0, result.output
    assert "90 calibration images" in result.output
    assert f"{workdir}/thresholds.tsv" in result.output
    assert f"next: tagforest evaluate {workdir} {dataset}" in result.output
    summary = json.loads((workdir / "calibration.json").read_text())
    assert (summary["goal"], summary["precision"]) == ("precision", 0.3)


def test_command_refuses(tmp_path, workdir, dataset, tiny_dataset):
    for arguments, wrong in (
        ((tmp_path / "none", dataset), "no such folder"),
        ((workdir, dataset, "--precision", "1.5"), "received: 1.5"),
        ((workdir, tmp_path), "is no data set"),
        ((workdir, tiny_dataset), "has no calibration split"),
    ):
        result = run("calibrate", *arguments)
        assert isinstance(result.exception, InputError)
        assert wrong in str(result.exception)
