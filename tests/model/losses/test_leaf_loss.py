"""Tests of model.losses.leaf_loss, by numbers that a hand can compute."""

import numpy as np
import pytest

from beam_jobs.errors import InputError
from model.config import LossConfig
from model.losses.leaf_loss import leaf_cross_entropy
from model.losses.multi_label_loss import MultiLabelLoss, Plan

# A root above three leaves.
IS_LEAF = np.array([False, True, True, True])
LOGITS = np.log(np.array([[90, 1, 2, 5]], np.float32))


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ([1, 0, 1, 0], -np.log(2 / 8)),
        # Two leaves share the target; an unknown one is as if not there.
        ([1, 1, 1, 0], -(np.log(1 / 8) + np.log(2 / 8)) / 2),
        ([1, 0, 1, -1], -np.log(2 / 3)),
        ([1, 0, 0, 0], 0.0),
        ([1, -1, -1, -1], 0.0),
    ],
)
def test_the_share_of_the_leaf_among_the_known_leaves(targets, expected):
    found = leaf_cross_entropy(np.array([targets], np.int8), LOGITS, IS_LEAF)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)


def test_it_comes_beside_the_other_with_its_weight():
    targets = np.array([[1, 0, 1, 0], [1, 0, 0, 0]], np.int8)
    logits = np.repeat(LOGITS, 2, axis=0)
    plan = Plan(np.ones(4, np.float32), None, None)
    plain = MultiLabelLoss(LossConfig(kind="bce"))
    beside = MultiLabelLoss(LossConfig(kind="bce", leaf_weight=3.0))
    beside.is_leaf = IS_LEAF
    before = plain.plan_loss(targets, logits, plan, None)
    found = beside.plan_loss(targets, logits, plan, None) - before
    np.testing.assert_allclose(found, 3 * np.log(4) / 2, rtol=1e-5)


def test_one_class_an_image_has_no_use_for_it():
    with pytest.raises(InputError, match="loss.leaf_weight must be 0 with"):
        LossConfig(kind="softmax", leaf_weight=1.0)
