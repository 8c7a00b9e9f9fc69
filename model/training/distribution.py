"""One device, several, or several processes: the one place that knows.

Two defects of Keras 3 with MultiWorkerMirroredStrategy
(https://github.com/keras-team/keras/issues/20585, open for Keras 3.12 to
3.15) are worked around, and only here and in `Tagger._maybe_symbolic_build`:

1. `Trainer._maybe_symbolic_build` reduces a distributed batch outside of a
   replica context and fails ("convert a value (PerReplica) to a Tensor").
   The tagger builds itself in its constructor and overrides the method.
2. The trainer reduces the logs with `strategy.reduce("MEAN", v, axis=0)`,
   which fails for scalars ("Invalid reduction dimension 0"). `as_log` gives
   them the shape (1,).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from beam_jobs.errors import InputError
from model.config import Config
from model.losses import adaptive_loss


@dataclass(frozen=True)
class Workers:
    """This process among the workers, as TF_CONFIG says.

    Attributes:
        count: number of workers.
        index: this one; 0 is the chief, which writes the files.
    """

    count: int = 1
    index: int = 0

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def workers_from_environment() -> Workers:
    """Reads TF_CONFIG; without it there is one worker.

    Raises:
        InputError: TF_CONFIG is not as TensorFlow wants it.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return Workers()
    try:
        values = json.loads(text)
        cluster, task = values["cluster"], values["task"]
        chiefs = len(cluster.get("chief", ()))
        index = int(task["index"])
        if task["type"] == "worker":
            index += chiefs
        return Workers(chiefs + len(cluster.get("worker", ())), index)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "TF_CONFIG must be JSON such as "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": '
            f'"worker", "index": 0}}}}; received: {text!r}'
        ) from error


def make_strategy(workers: Workers) -> tf.distribute.Strategy:
    """Returns the strategy for these workers and this machine's devices."""
    # Logical devices would initialize TensorFlow, too early for the workers.
    gpus = tf.config.list_physical_devices("GPU")
    if workers.count > 1:
        kind = tf.distribute.experimental.CommunicationImplementation
        options = tf.distribute.experimental.CommunicationOptions(
            implementation=kind.NCCL if gpus else kind.RING
        )
        return tf.distribute.MultiWorkerMirroredStrategy(
            communication_options=options
        )
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def check(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Raises InputError for what this number of replicas cannot do."""
    replicas = strategy.num_replicas_in_sync
    schedule = config.schedule
    whole = replicas * schedule.accumulation_steps
    if schedule.batch_size % whole:
        raise InputError(
            f"schedule.batch_size must be a multiple of the {replicas} "
            f"replicas times schedule.accumulation_steps "
            f"({schedule.accumulation_steps}); "
            f"received: {schedule.batch_size}"
        )
    synchronized = replicas > 1 and config.network.batch_norm_sync
    if synchronized and schedule.jit_compile == "network":
        raise InputError(
            "XLA cannot compile a network whose batch normalization talks "
            f"to the {replicas} replicas: set schedule.jit_compile=loss or "
            "network.batch_norm_sync=False"
        )


def num_replicas() -> int:
    """Returns the replicas over all workers."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def global_counts(
    targets: tf.Tensor, with_unknown: bool
) -> tuple[tf.Tensor, tf.Tensor, int | tf.Tensor]:
    """Returns positives and negatives of each class, over all replicas.

    Args:
        targets: int8 [batch, classes], this replica's: 1, 0, -1.
        with_unknown: there may be a -1: negatives need a count of their own.

    Returns:
        float32 [classes] twice, and the images.
    """
    images = targets.shape[0] or tf.shape(targets)[0]
    counted = [targets > 0, targets == 0] if with_unknown else [targets > 0]
    counts = tf.stack([adaptive_loss.class_counts(c) for c in counted])
    context = tf.distribute.get_replica_context()
    if context is not None and num_replicas() > 1:
        counts = context.all_reduce(tf.distribute.ReduceOp.SUM, counts)
        images *= num_replicas()
    if with_unknown:
        return counts[0], counts[1], images
    return counts[0], tf.cast(images, tf.float32) - counts[0], images


def sum_over_replicas(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the gradients of the global batch; see `schedules.Summed`."""
    if num_replicas() == 1:
        return gradients
    context = tf.distribute.get_replica_context()
    return list(context.all_reduce(tf.distribute.ReduceOp.SUM, gradients))


def loss_draws(
    seed: int, step: tf.Tensor, images: int | tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the random numbers of the loss for one step.

    All replicas draw the same from (seed, step); each takes its own rows.

    Args:
        images: in the global batch.
        targets: [batch, classes], this replica's.

    Returns:
        float32 [batch], [classes], [classes].
    """
    classes = targets.shape[1]
    pair = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    total = images + 2 * classes
    numbers = tf.random.stateless_uniform([total], pair)
    rows, shifts, chosen = tf.split(numbers, [images, classes, classes])
    places = tf.cast(tf.argsort(tf.argsort(rows)), tf.float32)
    places /= tf.cast(images, tf.float32)
    context = tf.distribute.get_replica_context()
    if context is not None and num_replicas() > 1:
        size = tf.shape(targets)[0]
        first = context.replica_id_in_sync_group * size
        places = places[first : first + size]
    return places, shifts, chosen


def average_over_replicas(variables: list, values: tf.Tensor) -> tf.Tensor:
    """Gives non-trainable Keras variables their mean over all replicas.

    Keras leaves the moving averages of batch normalization to each replica,
    so that workers would end with different weights. One reduction for all.

    Args:
        values: float32 [n], which ride along.

    Returns:
        Their mean, float32 [n].
    """
    if num_replicas() == 1:
        return values
    flat = [tf.reshape(v.value, [-1]) for v in variables]
    context = tf.distribute.get_replica_context()
    mean = context.all_reduce(
        tf.distribute.ReduceOp.MEAN, tf.concat([*flat, values], axis=0)
    )
    sizes = [math.prod(v.shape) for v in variables]
    *parts, values = tf.split(mean, [*sizes, values.shape[0]])
    for variable, part in zip(variables, parts, strict=True):
        variable.assign(tf.reshape(part, variable.shape))
    return values


def own_number(step: tf.Tensor) -> tf.Tensor:
    """Returns a number that no other step and no other replica has."""
    number = tf.cast(step, tf.int64) * num_replicas()
    context = tf.distribute.get_replica_context()
    if context is not None and num_replicas() > 1:
        number += tf.cast(context.replica_id_in_sync_group, tf.int64)
    return number


def from_chief(
    strategy: tf.distribute.Strategy, values: Sequence[int]
) -> list[int]:
    """Returns the chief's numbers on all workers; all must call it.

    Args:
        values: each below 2^31; those of other workers are ignored.
    """

    def keep_chiefs():
        context = tf.distribute.get_replica_context()
        first = tf.cast(context.replica_id_in_sync_group == 0, tf.int64)
        numbers = first * tf.constant(list(values), tf.int64)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, numbers)

    return _on_all(strategy, keep_chiefs).tolist()


def any_worker(strategy: tf.distribute.Strategy, here: bool) -> bool:
    """Returns whether it is so on any worker; all must call it."""

    def count():
        context = tf.distribute.get_replica_context()
        return context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.constant([int(here)], tf.int64)
        )

    return bool(_on_all(strategy, count)[0])


def _on_all(strategy: tf.distribute.Strategy, reduce: Callable) -> np.ndarray:
    found = tf.function(lambda: strategy.run(reduce))()
    return strategy.experimental_local_results(found)[0].numpy()


def set_on_replicas(variable: Any, value: float) -> None:
    """Gives a Keras variable that replicas keep apart one value on each.

    Such as the state of a metric, which is summed up only when it is read.
    """
    own = variable.value
    for part in getattr(own, "values", [own]):
        part.assign(value)


def first_replica(variable: Any) -> float:
    """Returns a scalar Keras variable's value on this worker's first one.

    No other worker takes part, unlike in reading it as a whole.
    """
    own = variable.value
    return float(getattr(own, "values", [own])[0].numpy())


def as_log(value: tf.Tensor) -> tf.Tensor:
    """Returns a metric as Keras' distributed trainer can reduce it: (1,)."""
    return tf.reshape(value, [1])
