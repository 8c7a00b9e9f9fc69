"""Tests of what a checkpoint keeps of a training."""

import pytest
import tensorflow as tf

from model.config import CheckpointConfig
from model.network.distributed_model import DistributedModel
from model.training.checkpoints import RestoreLossMean, SaveCheckpoints


def model_on(strategy):
    with strategy.scope():
        return DistributedModel()


def take_step(model, loss, images=12):
    """Notes a step as the training does: each replica its share of a batch."""
    strategy = model.distribute_strategy
    share = images // strategy.num_replicas_in_sync
    strategy.run(
        lambda: model.loss_mean.update_state(loss, sample_weight=share)
    )


@pytest.mark.parametrize("saved_by", [1, 2])
@pytest.mark.parametrize("restored_by", [1, 2])
def test_the_mean_loss_goes_on_with_any_number_of_replicas(
    saved_by, restored_by, two_replicas, tmp_path
):
    of_number = {1: tf.distribute.get_strategy(), 2: two_replicas}
    before = model_on(of_number[saved_by])
    take_step(before, 2.0)
    saver = SaveCheckpoints(tmp_path, CheckpointConfig(), steps_per_epoch=9)
    saver.set_model(before)
    position = saver.position(1)
    assert (position.loss_total, position.loss_count) == (24.0, 12.0)

    after = model_on(of_number[restored_by])
    restore = RestoreLossMean(position)
    restore.set_model(after)
    restore.on_epoch_begin(0)
    take_step(after, 5.0)
    take_step(after, 5.0)
    # Of three equal steps, whoever did which.
    assert float(after.loss_mean.result()) == (2.0 + 5.0 + 5.0) / 3
