"""One device, several, or several processes: the same step on each.

What replicas tell each other within a step. Everything here also runs on one
device, where there is nobody to talk to.
"""

from __future__ import annotations

import math

import tensorflow as tf

from model.losses import adaptive_loss


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
    # One reduction for both: each costs a round trip between the workers.
    counts = tf.stack([adaptive_loss.class_counts(c) for c in counted])
    context = tf.distribute.get_replica_context()
    if context is not None and num_replicas() > 1:
        counts = context.all_reduce(tf.distribute.ReduceOp.SUM, counts)
        images *= num_replicas()
    if with_unknown:
        return counts[0], counts[1], images
    return counts[0], tf.cast(images, tf.float32) - counts[0], images


def sum_over_replicas(
    gradients: list[tf.Tensor], pack_bytes: int = 0
) -> list[tf.Tensor]:
    """Returns the gradients of the global batch.

    Args:
        pack_bytes: of gradients that workers sum up at once, the last layers'
            first, while the others are still computed; 0: all, at the end.
    """
    if num_replicas() == 1:
        return gradients
    context = tf.distribute.get_replica_context()
    packs = tf.distribute.experimental.CommunicationOptions(
        bytes_per_pack=pack_bytes
    )
    return list(
        context.all_reduce(tf.distribute.ReduceOp.SUM, gradients, packs)
    )


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
    # Stateless: a restart and any number of replicas draw the same again.
    pair = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])
    total = images + 2 * classes
    numbers = tf.random.stateless_uniform([total], pair)
    rows, shifts, chosen = tf.split(numbers, [images, classes, classes])
    # The rank of a random number is a random permutation of the images.
    places = tf.cast(tf.argsort(tf.argsort(rows)), tf.float32)
    places /= tf.cast(images, tf.float32)
    context = tf.distribute.get_replica_context()
    if context is not None and num_replicas() > 1:
        size = tf.shape(targets)[0]
        # Rows lie in the order of the replicas, see `make_train_dataset`.
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
