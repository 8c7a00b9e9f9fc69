"""Tests of model.inputs.targets: dense targets and unknown classes."""

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.dataset import records
from model.config import DataConfig
from model.inputs import input_pipeline, targets

# Two trees: 0 over 1 and 2, 1 over 3 and 4, 4 also under 2; and 5 over 6.
TREE = Hierarchy([(), (0,), (0,), (1,), (1, 2), (), (5,)])


def sparse(rows, dtype=tf.int64):
    return tf.ragged.constant(rows, dtype, ragged_rank=1).to_sparse()


def targets_of(labels, confidences, absent, beside=None, **changes):
    features = {
        records.LABEL_ID: sparse(labels),
        records.LABEL_CONFIDENCE: sparse(confidences, tf.float32),
        records.ABSENT_ID: sparse(absent),
    }
    config = DataConfig(**changes)
    return targets.dense_targets(features, 4, config, beside).numpy().tolist()


def test_dense_targets_with_unknown_as_negative():
    found = targets_of([[0, 2], []], [[1.0, 0.8], []], [[1], [3]])
    assert found == [[1, 0, 1, 0], [0, 0, 0, 0]]


def test_dense_targets_with_unknown_ignored():
    found = targets_of(
        [[0, 2], []], [[1.0, 0.8], []], [[1], [3]], unknown="ignore"
    )
    assert found == [[1, 0, 1, -1], [-1, -1, -1, 0]]


def test_unsure_labels_are_unknown():
    found = targets_of(
        [[0, 2]], [[1.0, 0.5]], [[1]], unknown="ignore", min_confidence=0.7
    )
    assert found == [[1, 0, -1, -1]]


def test_unsure_labels_count_as_negative_where_unknown_ones_do():
    found = targets_of(
        [[0, 2], [1]], [[0.7, 0.5], [0.1]], [[], []], min_confidence=0.7
    )
    assert found == [[1, 0, 0, 0], [0, 0, 0, 0]]


def test_label_given_twice_counts_once():
    assert targets_of([[2, 2]], [[1.0, 1.0]], [[]]) == [[0, 0, 1, 0]]
    found = targets_of([[2, 2]], [[1.0, 0.1]], [[]], min_confidence=0.7)
    assert found == [[0, 0, 1, 0]]


def test_label_beyond_the_classes_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError):
        targets_of([[4]], [[1.0]], [[]])


def test_siblings_share_a_parent_and_roots_are_siblings():
    found = [row.tolist() for row in targets.siblings(TREE)]
    assert found == [[5], [2], [1], [4], [3], [0], []]


def related(labels, absent, **changes):
    rows = targets.siblings(TREE)
    beside = tf.RaggedTensor.from_row_lengths(
        np.concatenate(rows), [len(row) for row in rows]
    )
    features = {
        records.LABEL_ID: sparse([labels]),
        records.LABEL_CONFIDENCE: sparse(
            [[0.5 if i == 3 else 1.0 for i in labels]], tf.float32
        ),
        records.ABSENT_ID: sparse([absent]),
    }
    config = DataConfig(unknown="ignore_unless_related", **changes)
    return targets.dense_targets(features, 7, config, beside).numpy().tolist()


def test_siblings_of_labels_are_negative_and_all_else_unknown():
    assert related([0, 1], []) == [[1, 1, 0, -1, -1, 0, -1]]
    assert related([0, 1, 4], []) == [[1, 1, 0, 0, 1, 0, -1]]


def test_a_sibling_that_is_a_label_stays_positive():
    assert related([0, 1, 2], []) == [[1, 1, 1, -1, -1, 0, -1]]


def test_verified_absent_is_negative_without_a_relation():
    assert related([5], [6, 4]) == [[0, -1, -1, -1, 0, 1, 0]]


def test_unsure_label_is_unknown_beside_its_sibling():
    found = related([0, 1, 4, 3], [], min_confidence=0.7)
    assert found == [[1, 1, 0, -1, 1, 0, -1]]
    # Nor does it make its siblings negative.
    assert related([0, 1, 3], [], min_confidence=0.7)[0][4] == -1


def test_training_data_follow_the_policy(tiny_dataset):
    config = DataConfig(image_size=16, unknown="ignore_unless_related")
    batches = input_pipeline.make_train_dataset(
        tiny_dataset, config, classes=5, batch_size=8, epochs=1
    )
    found = next(iter(batches))[1].numpy()
    # Class 4 has no image, yet each image has a sibling of it.
    assert found[:, 0].tolist() == [1] * 8
    assert found[:, 4].tolist() == [0] * 8
    assert (np.sum(found[:, 1:4], axis=1) == 1).all()
