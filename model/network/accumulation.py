"""One training step over parts of its batch, one after the other.

Keras' own `gradient_accumulation_steps` sums over several calls of the
training step: the loss would see a part of the batch at a time, and its
class coefficients, which depend on the whole, would differ; with several
replicas its condition around the optimizer fails as well. Here a step takes
the whole batch, so that the loss's plan comes from all of it, and only
forward and backward pass run over the parts. All but batch normalization,
whose statistics are those of a part, is as without parts. In memory are the
images and targets of the batch, and the activations of one part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from beam_jobs.errors import InputError


def mean_over_parts(
    compute: Callable[..., tuple[tf.Tensor, list[tf.Tensor]]],
    rows: tuple[tf.Tensor, ...],
    parts: int,
    weights: Sequence[Any],
    unrolled: bool = False,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns the means of the loss and of the gradients over the parts.

    Args:
        compute: from rows to a scalar loss, their mean, and its gradients.
        rows: tensors [batch, ...] that are cut alike. Part p of n has every
            n-th row from p on: over all replicas, the rows that it would
            have on a single one.
        parts: equal ones; 1 calls `compute` on everything.
        weights: the variables that the gradients belong to.
        unrolled: a graph for each part instead of one loop, in which no
            replica can talk to another (synchronized normalization does).

    Raises:
        InputError: the batch does not divide into the parts.
    """
    if parts == 1:
        return compute(*rows)
    size = _part_size(rows[0], parts)

    def add(part, loss, gradients):
        one, slopes = compute(*(_every(r, part, parts, size) for r in rows))
        slopes = [g + s for g, s in zip(gradients, slopes, strict=True)]
        return part + 1, loss + one, slopes

    # float32 sums whatever the precision of the activations.
    loss = tf.constant(0.0)
    gradients = [tf.zeros(w.shape, w.dtype) for w in weights]
    if unrolled:
        for part in range(parts):
            # One after the other, or all activations were there at once.
            with tf.control_dependencies([loss, *gradients]):
                _, loss, gradients = add(part, loss, gradients)
    else:
        _, loss, gradients = tf.while_loop(
            lambda part, *_: part < parts,
            add,
            (tf.constant(0), loss, gradients),
            # The memory of one part is what this is for.
            parallel_iterations=1,
        )
    return loss / parts, [g / parts for g in gradients]


def _every(row, part, parts, size):
    chosen = row[part::parts]
    if isinstance(size, int):
        chosen.set_shape([size, *row.shape[1:]])
    return chosen


def _part_size(images: tf.Tensor, parts: int) -> int | tf.Tensor:
    count = images.shape[0]
    if count is not None and count % parts:
        raise InputError(
            "schedule.batch_size must divide into the replicas and "
            f"schedule.accumulation_steps; received: {count} images for a "
            f"replica, {parts} steps"
        )
    return tf.shape(images)[0] // parts
