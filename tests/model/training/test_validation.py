"""Tests of model.training.validation."""

import json

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model.inputs import input_pipeline
from model.losses.multi_label_loss import MultiLabelLoss
from model.network.load_tagger import load_tagger
from model.network.metrics import f1_at_k, precision_at_k, recall_at_k
from model.training import validation
from model.training.train import train
from tests.helpers.datasets import write_dataset


def test_fit_validates_every_image_once(tiny_config, tiny_dataset, tmp_path):
    config = tiny_config(validate_every=2, epochs=3, batch_size=4)
    train(config, tiny_dataset, tmp_path)
    rows = json.loads((tmp_path / "history.json").read_text())
    # Six images, two of them again to fill two batches of four.
    assert ["val_loss" in row for row in rows] == [False, True, True]

    tagger = load_tagger(tmp_path)
    data = input_pipeline.make_eval_dataset(
        tiny_dataset, config.data, classes=5, batch_size=6
    )
    images, targets = next(iter(data))
    logits = tagger(images)
    expected = {
        "loss": MultiLabelLoss(config.loss).call(targets, logits),
        "precision_at_5": precision_at_k(targets, logits, 5),
        "recall_at_5": recall_at_k(targets, logits, 5),
        "f1_at_5": f1_at_k(targets, logits, 5),
    }
    for name, values in expected.items():
        found = rows[-1][f"val_{name}"]
        assert found == pytest.approx(float(np.mean(values)), rel=1e-4), name


def test_replicas_get_equal_shares(two_replicas, tiny_config, tiny_dataset):
    config = tiny_config(batch_size=4)
    data, steps = validation.distributed(config, tiny_dataset, two_replicas, 5)
    weights = []
    for parts in data:
        local = [two_replicas.experimental_local_results(p) for p in parts]
        assert [p.shape for p in local[0]] == [(2, 16, 16, 3)] * 2
        weights += [w.numpy().tolist() for w in local[2]]
    assert steps == 2
    assert weights == [[1, 1], [1, 1], [1, 1], [0, 0]]


def test_an_empty_split_is_refused(tiny_config, tmp_path):
    folder = write_dataset(tmp_path / "dataset")
    for path in (folder / dataset_folder.VALIDATION).iterdir():
        path.write_bytes(b"")
    one = tf.distribute.get_strategy()
    with pytest.raises(InputError, match="tfrecord: 0 bytes"):
        validation.distributed(tiny_config(), folder, one, 5)
