"""`evaluate` on files: a tiny data set and a tagger that knows nothing."""

import json

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
from model.evaluation.evaluate import evaluate
from model.network.options import BatchOptions
from model.network.tagger import Tagger
from model.workdir import CONFIG, WEIGHTS
from tests.helpers.commands import run
from tests.helpers.datasets import write_classes, write_shards
from tests.helpers.images import encode
from tests.helpers.records import Label, Record

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
    image = encode(np.full((20, 24, 3), 128, np.uint8), "JPEG")
    rows = [
        Label(i, confidence, Rule.ANNOTATED, i, Source.IMAGENET) for i in labels
    ]
    return Record(name, image, 20, 24, rows)


def annotated(images) -> Labels:
    ids = np.array(sum(images, []), np.int32)
    codes = np.zeros(len(ids), np.uint8)
    splits = np.cumsum([0, *map(len, images)])
    return Labels(splits, ids, np.ones(len(ids)), codes, ids, codes)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset")
    counts = {}
    for split, images in SPLITS.items():
        rows = [record(f"{i}", labels) for i, labels in enumerate(images)]
        write_shards(folder, split, rows)
        counts[split] = Statistics(len(VOCABULARY))
        counts[split].add(annotated(images))
    write_classes(folder, VOCABULARY, TREE)
    page.write(counts, folder / dataset_folder.STATISTICS, VOCABULARY)
    (folder / dataset_folder.MANIFEST).write_text("{}")
    return folder


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


def test_command(workdir, dataset):
    result = run("evaluate", workdir, dataset, "--no-progress")
    assert result.exit_code == 0, result.output
    assert "3 validation images, 2.00 labels each" in result.output
    assert "best leaf right" in result.output
    assert f"{workdir}/evaluation/validation.png" in result.output
    assert f"next: tagforest export {workdir}" in result.output
