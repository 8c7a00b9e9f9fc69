"""Tests of model.losses.softmax_loss, by numbers that a hand can compute."""

import keras
import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import Config, LossConfig, ScheduleConfig
from model.losses.softmax_loss import SoftmaxLoss, softmax_cross_entropy

# Softmax of (0, ln 3) is (1/4, 3/4).
LOGITS = np.array([[0.0, np.log(3)], [np.log(3), 0.0]], np.float32)
TARGETS = np.array([[0, 1], [0, 1]], np.int8)


def test_the_loss_is_the_logarithm_of_the_share():
    found = softmax_cross_entropy(TARGETS, LOGITS)
    expected = [-np.log(3 / 4), -np.log(1 / 4)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_smoothed_labels_are_shared_by_all_classes():
    found = softmax_cross_entropy(TARGETS[:1], LOGITS[:1], 0.2)
    expected = -0.9 * np.log(3 / 4) - 0.1 * np.log(1 / 4)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_large_logits_stay_finite():
    found = softmax_cross_entropy([[1, 0]], [[-1e4, 1e4]])
    np.testing.assert_allclose(found, [2e4])


def test_training_smoothes_and_evaluation_does_not():
    loss = SoftmaxLoss(LossConfig(kind="softmax", label_smoothing=0.2))
    smoothed = softmax_cross_entropy(TARGETS, LOGITS, 0.2)
    plan, runs = loss.make_plan(None, None, "runs", None)
    assert (plan, runs) == (None, "runs")
    found = loss.plan_loss(TARGETS, LOGITS, plan, None)
    np.testing.assert_allclose(found, np.mean(smoothed), rtol=1e-6)
    plain = softmax_cross_entropy(TARGETS, LOGITS)
    np.testing.assert_allclose(loss(TARGETS, LOGITS), np.mean(plain))


def test_it_is_serialized():
    loss = SoftmaxLoss(LossConfig(kind="softmax", label_smoothing=0.1))
    values = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(values)
    assert again.config == loss.config


def test_what_belongs_to_other_kinds_is_refused():
    with pytest.raises(InputError, match="loss.positive_weight must be None"):
        LossConfig(kind="softmax", positive_weight=2.0)
    looks = ScheduleConfig(validate_every=1, best="top_1")
    with pytest.raises(InputError, match="best must be a figure of loss.kind"):
        Config(schedule=looks)
    Config(schedule=looks, loss=LossConfig(kind="softmax"))
