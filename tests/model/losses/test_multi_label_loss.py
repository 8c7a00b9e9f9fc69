"""Tests of model.losses.multi_label_loss against numbers computed by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from model.config import LossConfig
from model.loss_kinds import LOSS_KINDS
from model.losses.multi_label_loss import MultiLabelLoss, Plan

LOG2 = math.log(2.0)


def array(*values):
    return np.array(values, np.float32)


def random_pairs(rows, classes, seed=1):
    """Returns int8 targets of 1, 0 and -1, and logits."""
    rng = np.random.default_rng(seed)
    targets = rng.choice([-1, 0, 0, 1], (rows, classes)).astype(np.int8)
    return targets, rng.normal(0, 2, (rows, classes)).astype(np.float32)


def plain_plan(classes):
    return Plan(np.ones(classes, np.float32), None, None)


def test_positives_weigh_eta():
    config = LossConfig(kind="bce", positive_weight=12.0, reduction="sum")
    targets, logits = np.eye(2, dtype=np.int8)[:1], np.zeros((1, 2), "f4")
    found = MultiLabelLoss(config).call(targets, logits)
    np.testing.assert_allclose(found, [(12 + 1) * LOG2], rtol=1e-6)


def test_an_evaluation_has_no_gradient_to_train_by():
    logits = tf.Variable(np.zeros((1, 2), np.float32))
    with tf.GradientTape() as tape:
        loss = MultiLabelLoss(LossConfig())(np.ones((1, 2), "i1"), logits)
    assert tape.gradient(loss, logits) is None


@pytest.mark.parametrize(
    ("kind", "reduction", "classes"),
    [("released", None, 1), ("paper", None, 3), ("paper", "sum", 1)],
)
def test_loss_of_two_images_by_hand(kind, reduction, classes):
    targets = np.array([[1, 0, -1], [0, 0, 1]], np.int8)
    logits = np.zeros((2, 3), np.float32)
    plan = Plan(array(1.0, 0.5, 2.0), None, None)
    # Classes: (12 + 1)/2, (1 + 1)/2, (unknown 0 + 12)/2, in units of log 2.
    expected = LOG2 * (6.5 * 1.0 + 1.0 * 0.5 + 6.0 * 2.0)
    loss = MultiLabelLoss(LossConfig(kind=kind, reduction=reduction))
    found = loss.plan_loss(targets, logits, plan, None)
    assert float(found) == pytest.approx(expected / classes, rel=1e-6)


def test_down_sampling_drops_negatives_never_positives():
    targets = np.array([[1], [0], [0]], np.int8)
    # The arc from 0 of a third holds the third row alone: place 0.
    plan = Plan(array(1), array(0), array(1 / 3))
    places = array(1 / 3, 2 / 3, 0)
    loss = MultiLabelLoss(LossConfig())
    logits = np.zeros((3, 1), np.float32)
    found = loss.plan_loss(targets, logits, plan, places)
    assert float(found) == pytest.approx(13 * LOG2 / 3, rel=1e-6)


@pytest.mark.parametrize("kind", LOSS_KINDS)
def test_unknown_rows_and_an_unknown_class_lose_nothing(kind):
    targets, logits = random_pairs(4, 6)
    targets[1], targets[:, 2] = -1, -1
    loss = MultiLabelLoss(LossConfig(kind=kind))
    by_image = np.asarray(loss.call(targets, logits))
    assert by_image[1] == 0.0
    assert (by_image[[0, 2, 3]] > 0).all()
    other = logits.copy()
    other[1], other[:, 2] = 9.0, -9.0
    plan = plain_plan(6)
    found = float(loss.plan_loss(targets, logits, plan, None))
    assert found == float(loss.plan_loss(targets, other, plan, None))
    assert found == pytest.approx(by_image.sum() / 4, rel=1e-5)
    nothing = np.full((4, 6), -1, np.int8)
    assert float(loss.plan_loss(nothing, logits, plan, None)) == 0.0


@pytest.mark.parametrize("kind", LOSS_KINDS)
def test_called_as_a_keras_loss(kind):
    targets, logits = random_pairs(3, 4)
    loss = MultiLabelLoss(LossConfig(kind=kind))
    expected = np.mean(np.asarray(loss.call(targets, logits)))
    assert float(loss(targets, logits)) == pytest.approx(expected, rel=1e-6)


def test_plain_cross_entropy_is_keras_own():
    targets, logits = random_pairs(4, 5)
    targets = np.maximum(targets, 0)
    own = keras.losses.BinaryCrossentropy(from_logits=True)(targets, logits)
    loss = MultiLabelLoss(LossConfig(kind="bce"))
    assert float(loss(targets, logits)) == pytest.approx(float(own), rel=1e-5)
    loss = MultiLabelLoss(LossConfig(kind="bce", reduction="sum"))
    assert float(loss(targets, logits)) == pytest.approx(
        5 * float(own), rel=1e-5
    )


def test_switches_work_with_every_kind():
    targets, logits = np.array([[1], [0]], np.int8), np.zeros((2, 1), "f4")
    for kind in LOSS_KINDS:
        plain, weighted = (
            MultiLabelLoss(LossConfig(kind=kind, positive_weight=w))
            for w in (1.0, 3.0)
        )
        first = np.asarray(plain.call(targets, logits))
        again = np.asarray(weighted.call(targets, logits))
        np.testing.assert_allclose(again, first * [3.0, 1.0], rtol=1e-6)


def one_step(config, targets, runs, draws, places):
    loss = MultiLabelLoss(config)
    positives = (targets > 0).sum(0).astype(np.float32)
    negatives = (targets == 0).sum(0).astype(np.float32)
    plan, runs = loss.make_plan(positives, negatives, runs, draws)
    logits = np.zeros(targets.shape, np.float32)
    return float(loss.plan_loss(targets, logits, plan, places)), runs


def test_loss_of_a_batch_from_state_to_state():
    found, runs = one_step(
        LossConfig(negative_ratio=1.0),
        np.array([[1, 0], [0, 0]], np.int8),
        array([1, 0], [0, 3]),
        (array(0.0, 0.0), array(0.5, 0.05)),
        array(0.0, 0.5),
    )
    # Class 0: second batch with a positive, 0.9; its one negative is kept.
    # Class 1: fourth without, selected, 0.729, all negatives.
    expected = LOG2 * (0.9 * 6.5 + 0.729 * 1.0) / 2
    assert found == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(runs, [[2, 0], [0, 4]])


def test_batch_of_one_image():
    # No negative beside the positive, and no batch to sample from: the
    # selected negative (class 1) counts, the other (class 2) does not.
    found, runs = one_step(
        LossConfig(),
        np.array([[1, 0, 0]], np.int8),
        np.zeros((2, 3), np.float32),
        (array(0.3, 0.3, 0.3), array(0.5, 0.05, 0.5)),
        array(0.0),
    )
    assert found == pytest.approx(LOG2 * (12 + 1) / 3, rel=1e-5)
    np.testing.assert_array_equal(runs, [[1, 0, 0], [0, 1, 1]])


@pytest.mark.parametrize("kind", LOSS_KINDS)
def test_serialization(kind):
    loss = MultiLabelLoss(LossConfig(kind=kind, decay=0.8, clip=0.1))
    text = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(text)
    assert isinstance(again, MultiLabelLoss)
    assert again.config == loss.config
    targets, logits = random_pairs(3, 4)
    assert float(again(targets, logits)) == float(loss(targets, logits))
