"""`evaluate` on files: a tiny data set and a tagger that knows nothing."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.ragged_columns import Labels
from beam_jobs.statistics import page
from beam_jobs.statistics.counts import Statistics
from model.config import Config, DataConfig, NetworkConfig
from model.evaluation import evaluate as evaluate_
from model.evaluation.evaluate import evaluate
from model.network.options import BatchOptions
from model.network.tagger import Tagger
from model.workdir import CONFIG, DATASET, DATASET_PATH, WEIGHTS
from tests.helpers.commands import run
from tests.helpers.datasets import write_classes, write_shards
from tests.helpers.images import encode
from tests.helpers.records import Label, Record
from tests.helpers.teams import teams, together

VOCABULARY = Vocabulary(
    [
        TagClass(0, "n00015388", "animal, beast"),
        TagClass(1, "n02084071", "dog"),
        TagClass(2, "n02121620", "cat"),
        TagClass(3, "n03001627", "chair"),
    ]
)
TREE = Hierarchy([(), (0,), (0,), ()])
SPLITS = {
    "train": [[0, 1], [0, 1], [0, 2], [3]],
    "validation": [[0, 1], [0, 2, 3], [0]],
}

QUIET = BatchOptions(progress=False)


def record(name, labels, confidence=1.0):
    # No two images of the same bytes.
    pixels = np.full((20, 24, 3), 100 + 2 * int(name), np.uint8)
    image = encode(pixels, "JPEG", quality=95)
    rows = [
        Label(i, confidence, Rule.ANNOTATED, i, Source.IMAGENET) for i in labels
    ]
    return Record(name, image, 20, 24, rows)


def annotated(images) -> Labels:
    ids = np.array(sum(images, []), np.int32)
    codes = np.zeros(len(ids), np.uint8)
    splits = np.cumsum([0, *map(len, images)])
    return Labels(splits, ids, np.ones(len(ids)), codes, ids, codes)


def write_dataset(folder, manifest, first=0):
    """Writes the splits; the first validation image has number `first`."""
    counts = {}
    for split, images in SPLITS.items():
        start = first if split == "validation" else 0
        rows = [record(f"{i}", y) for i, y in enumerate(images, start)]
        write_shards(folder, split, rows)
        counts[split] = Statistics(len(VOCABULARY))
        counts[split].add(annotated(images))
    write_classes(folder, VOCABULARY, TREE)
    page.write(counts, folder / dataset_folder.STATISTICS, VOCABULARY)
    (folder / dataset_folder.MANIFEST).write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("dataset"), {})


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A tagger that says chair, cat, dog, animal whatever it sees."""
    folder = tmp_path_factory.mktemp("run")
    config = Config(
        data=DataConfig(image_size=16),
        network=NetworkConfig("basic", (1,), (4,), (1,), stem_filters=4),
    )
    tagger = Tagger(config, len(VOCABULARY))
    tagger.head.kernel.assign(np.zeros(tagger.head.kernel.shape))
    tagger.head.bias.assign([-4.0, -3.0, -2.0, -1.0])
    (folder / CONFIG).write_text(config.to_json())
    tagger.save_weights(folder / WEIGHTS)
    write_classes(folder, VOCABULARY, TREE)
    return folder


def test_evaluate(workdir, dataset):
    found = evaluate(workdir, dataset, options=BatchOptions(2, progress=False))
    assert (found.split, found.images) == ("validation", 3)
    assert found.labels_per_image == 2.0
    # The tagger's best leaf is the chair, the baseline's the dog.
    assert found["best_leaf_right"].model == pytest.approx(1 / 3)
    assert found["best_leaf_right"].baseline == pytest.approx(1 / 3)
    assert found["best_leaf_right"].ceiling == pytest.approx(2 / 3)
    assert found["f1_at_5"].model == pytest.approx((4 / 7 + 6 / 8 + 2 / 6) / 3)
    # A constant score has the share of positives as average precision.
    np.testing.assert_allclose(
        found.average_precision, [1, 1 / 3, 1 / 3, 1 / 3], rtol=1e-6
    )


def test_evaluate_writes(workdir, dataset):
    evaluate(workdir, dataset, "train", options=QUIET)
    content = json.loads((workdir / "evaluation/train.json").read_text())
    assert content["images"] == 4
    assert content["figures"]["best_leaf_right"] == {
        "model": 0.25,
        "baseline": 0.5,
        "ceiling": 1.0,
        "gap_closed": -0.5,
    }
    names = sorted(p.name for p in (workdir / "evaluation").glob("train*"))
    assert names == [
        "train.json",
        "train.png",
        "train_classes.tsv",
        "train_depth.png",
        "train_f1_at_k.png",
        "train_frequency.png",
        "train_reliability.png",
    ]


def test_evaluate_is_deterministic(workdir, dataset):
    def written(batch_size):
        evaluate(
            workdir, dataset, options=BatchOptions(batch_size, progress=False)
        )
        return (workdir / "evaluation/validation.json").read_bytes()

    assert written(1) == written(3)


def test_all_workers_together_find_what_one_does(two_data_sets):
    run_, _, other = two_data_sets
    report = run_ / "evaluation/other-bbbbbbbb/validation.json"

    def written(count):
        options = BatchOptions(1, progress=False)
        given = (run_, str(other), "validation", options, None)
        found = together(evaluate_._evaluate, given, count)
        assert (found.images, found.judge.left_out) == (2, 1)
        names = ("validation.json", "validation_classes.tsv")
        texts = [report.with_name(name).read_bytes() for name in names]
        shutil.rmtree(report.parent)
        return texts

    # 3 workers have 2 images.
    assert written(1) == written(3)


@pytest.mark.large
def test_processes_find_what_one_does(two_data_sets):
    run_, own, _ = two_data_sets
    report = run_ / "evaluation/validation.json"
    texts = []
    for workers in (1, 2, 3):
        given = ("--local-workers", workers, "--batch-size", 1)
        result = run("evaluate", run_, own, *given)
        assert result.exit_code == 0, result.output
        texts.append(report.read_bytes())
        report.unlink()
    assert texts[0] == texts[1] == texts[2]
    shard = own / "validation/validation-00000-of-00001.tfrecord"
    content = shard.read_bytes()
    shard.write_bytes(content[:-6] + b"?" + content[-5:])
    result = run("evaluate", run_, own, "--local-workers", 2)
    assert isinstance(result.exception, InputError)
    assert f"{shard} is damaged at byte " in str(result.exception)
    assert not report.exists()


def test_what_one_worker_is_refused_ends_all(two_data_sets):
    run_, _, other = two_data_sets
    given = (run_, str(other), "train", QUIET, None)
    chief, second = teams(2)
    with ThreadPoolExecutor(1) as pool:
        part = pool.submit(evaluate_._evaluate, second, *given)
        with pytest.raises(InputError, match="they judge nothing"):
            evaluate_._evaluate(chief, *given)
        assert isinstance(part.exception(60), InputError)


def test_evaluate_refuses(tmp_path, workdir, dataset):
    with pytest.raises(InputError, match="is no data set"):
        evaluate(workdir, tmp_path, options=QUIET)
    with pytest.raises(InputError, match="no records in split 'test'"):
        evaluate(workdir, dataset, "test", options=QUIET)
    with pytest.raises(InputError, match="holds no training"):
        evaluate(tmp_path, dataset, options=QUIET)


def test_evaluate_refuses_other_classes(tmp_path, workdir, dataset):
    for path in workdir.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    fewer = Vocabulary(list(VOCABULARY)[:3])
    write_classes(tmp_path, fewer, Hierarchy([(), (0,), (0,)]))
    (tmp_path / WEIGHTS).unlink()
    tagger = Tagger(Config.from_json((tmp_path / CONFIG).read_text()), 3)
    tagger.save_weights(tmp_path / WEIGHTS)
    with pytest.raises(InputError, match=r"other classes \(4\).*\(3\)"):
        evaluate(tmp_path, dataset, options=QUIET)


def test_a_least_confidence_counts_in_the_baseline_too(
    tmp_path, workdir, dataset
):
    for path in workdir.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / CONFIG).read_text()
    text = text.replace('"min_confidence": 0.0', '"min_confidence": 0.5')
    (tmp_path / CONFIG).write_text(text)
    found = evaluate(tmp_path, dataset, options=QUIET)
    assert found["best_leaf_right"].baseline == pytest.approx(1 / 3)


def test_command_refuses(tmp_path, workdir, dataset):
    result = run("evaluate", tmp_path / "none", dataset)
    assert isinstance(result.exception, InputError)
    assert "no such folder" in str(result.exception)
    result = run("evaluate", workdir, dataset, "--split", "test")
    assert "no records in split 'test'" in str(result.exception)


@pytest.fixture
def two_data_sets(tmp_path, workdir):
    """The training's own, and one whose validation has its image 3."""
    run_ = shutil.copytree(workdir, tmp_path / "run")
    own, other = tmp_path / "own", tmp_path / "other"
    for folder, fingerprint, first in ((own, "aa", 10), (other, "bb", 3)):
        folder.mkdir()
        write_dataset(folder, {"fingerprint": fingerprint * 8}, first)
    (run_ / DATASET).write_text('{"fingerprint": "' + "aa" * 8 + '"}')
    (run_ / DATASET_PATH).write_text(f"{own}\n")
    return run_, own, other


def test_images_trained_on_are_left_out_of_another_data_set(two_data_sets):
    run_, own, other = two_data_sets
    # The baseline is of the training's own labels.
    shutil.rmtree(other / dataset_folder.STATISTICS)
    assert evaluate(run_, own, options=QUIET).judge.is_own
    before = (run_ / "evaluation/validation.json").read_bytes()
    assert evaluate(run_, other, options=QUIET).images == 2
    written = run_ / "evaluation/other-bbbbbbbb/validation.json"
    content = json.loads(written.read_text())
    # Of animal & dog, animal & cat & chair, animal the first is image 3.
    assert (content["images"], content["labels_per_image"]) == (2, 2.0)
    assert content["data_set"]["is_trained_on"] is False
    assert content["data_set"]["training_images_left_out"] == 1
    assert (run_ / "evaluation/validation.json").read_bytes() == before
    with pytest.raises(InputError, match="trained on all 4 train images"):
        evaluate(run_, other, "train", options=QUIET)


def test_command_says_that_it_is_another_data_set(two_data_sets, tmp_path):
    run_, own, other = two_data_sets
    own.rename(tmp_path / "moved")
    result = run("evaluate", run_, other, "--no-progress")
    assert (
        f"not the data set that {run_} was trained on (that is not at {own} "
        "any more); its validation images may be training images"
    ) in result.output
    assert "3 validation images" in result.output
    trained_on = ("--trained-on", tmp_path / "moved")
    result = run("evaluate", run_, other, "--no-progress", *trained_on)
    assert "; 1 of its validation images are training" in result.output
    assert f"{run_}/evaluation/other-bbbbbbbb/validation.png" in result.output
    result = run("evaluate", run_, other, "--trained-on", other)
    assert "was trained on another data set" in str(result.exception)


def test_command(workdir, dataset):
    result = run("evaluate", workdir, dataset, "--no-progress")
    assert result.exit_code == 0, result.output
    assert "3 validation images, 2.00 labels each" in result.output
    assert "best leaf right" in result.output
    assert f"{workdir}/evaluation/validation.png" in result.output
    assert f"next: tagforest export {workdir}" in result.output
