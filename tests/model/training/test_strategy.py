"""Tests of model.training.strategy: what replicas settle between steps."""

import dataclasses

import keras
import pytest
import tensorflow as tf

from beam_jobs.errors import InputError
from model.training import strategy as strategy_
from model.workers.cluster import Workers
from model.workers.endings import WorkerLostError


def test_what_replicas_cannot_do_is_refused(two_replicas, tiny_config):
    with pytest.raises(InputError, match="multiple of the 2 replicas"):
        strategy_.check(tiny_config(batch_size=9), two_replicas)
    config = tiny_config(jit_compile="network")
    network = dataclasses.replace(config.network, batch_norm_sync=True)
    config = dataclasses.replace(config, network=network)
    with pytest.raises(InputError, match="jit_compile=loss"):
        strategy_.check(config, two_replicas)


def test_all_have_the_numbers_of_the_chief(two_replicas):
    # A sum over replicas would be twice as much.
    numbers = [0, 123, 2**31 - 1]
    assert strategy_.from_chief(two_replicas, numbers) == numbers
    assert strategy_.any_worker(two_replicas, True)
    assert not strategy_.any_worker(two_replicas, False)


def test_others_work_after_the_chief(two_replicas):
    done = []

    def work():
        done.append(len(done))
        return done[-1]

    for index in range(2):
        workers = Workers(2, index)
        assert strategy_.chief_first(two_replicas, workers, work) == index
    assert strategy_.chief_first(two_replicas, Workers(1, 0), work) == 2


def test_what_the_chief_raises_reaches_the_caller(two_replicas):
    def fail():
        raise InputError("a shard is damaged")

    with pytest.raises(InputError, match="a shard is damaged"):
        strategy_.chief_first(two_replicas, Workers(2, 0), fail)


def test_a_metric_goes_on_from_what_one_replica_had(two_replicas):
    with two_replicas.scope():
        mean = keras.metrics.Mean()
    total, count = mean.variables
    strategy_.set_on_replicas(total, 6.0)
    strategy_.set_on_replicas(count, 4.0)
    assert strategy_.first_replica(total) == 6.0
    assert float(mean.result()) == 1.5


@pytest.mark.parametrize(
    "traced",
    [
        "",
        "Graph execution error:\n\nDetected at node f defined at (most recent "
        "call last):\n<stack traces unavailable>\n  File f.py, in fit\n",
    ],
)
@pytest.mark.parametrize(
    ("workers", "raised", "seen"),
    [
        (2, tf.errors.UnavailableError, WorkerLostError),
        (1, tf.errors.UnavailableError, tf.errors.UnavailableError),
        (2, tf.errors.InvalidArgumentError, tf.errors.InvalidArgumentError),
    ],
)
def test_a_lost_worker_is_told_from_other_errors(
    workers, raised, seen, traced, capsys
):
    with (
        pytest.raises(seen),
        strategy_.others_may_end(Workers(workers, 1)),
    ):
        raise raised(None, None, f"{traced}no answer\nand much more")
    said = capsys.readouterr().err
    lost = "worker 1 lost another one (no answer)"
    assert (lost in said) == (seen is WorkerLostError)
