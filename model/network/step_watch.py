"""What the device notes at each step, for the host to read when it likes.

Reading a value makes the host wait for the device. So the step itself keeps
the first step whose loss or gradient is no finite number, the losses and
gradient norms before it, and whether any worker asks to stop; all replicas
and workers hold the same, because one reduction carries it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from model.network import replicas

# Steps whose loss and gradient norm are kept.
KEPT = 8
_NONE = -1


@dataclass(frozen=True)
class Seen:
    """The steps up to the last, or up to the first bad one.

    Attributes:
        losses: float [at most KEPT], oldest first.
        norms: of the gradient, likewise.
    """

    losses: np.ndarray
    norms: np.ndarray


class StepWatch:
    """Variables that the training step writes; no part of the weights."""

    def __init__(self):
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        # The first bad step, and whether a worker asks to stop.
        self._status = tf.Variable([_NONE, 0], dtype=tf.int64, trainable=False)
        self._asked = tf.Variable(0.0, trainable=False)
        self._rows = tf.Variable(
            tf.fill([KEPT, 2], -1.0), trainable=False, dtype=tf.float32
        )
        # On a CPU the host waits for each step in any case.
        gpus = tf.config.list_physical_devices("GPU")
        self.read_every = 10 if gpus else 1

    def start_at(self, step: int) -> None:
        """Says how many steps have been taken before."""
        self._step.assign(step)
        self._status.assign([_NONE, 0])
        self._rows.assign(np.full((KEPT, 2), -1.0, np.float32))

    def ask_to_stop(self) -> None:
        """Lets all workers know at the end of the next step."""
        self._asked.assign(1.0)

    def status(self) -> tuple[int | None, bool]:
        """Returns the first bad step (from 1), and whether to stop."""
        bad, stop = self._status.numpy().tolist()
        return None if bad == _NONE else bad, bool(stop)

    def seen(self) -> Seen:
        """Returns the last steps; after a bad one, those up to it."""
        rows = self._rows.numpy()
        rows = rows[rows[:, 1] != -1.0]
        return Seen(rows[:, 0], rows[:, 1])

    def update(
        self,
        loss: tf.Tensor,
        gradients: Sequence[Any],
        averaged: list,
        optimizer: keras.optimizers.Optimizer,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Notes one step, in the graph.

        Args:
            loss: scalar, this replica's mean.
            gradients: of the global batch, scaled.
            averaged: variables that get their mean over the replicas.
            optimizer: one that scales the loss leaves steps out whose
                gradient is not finite: only the loss counts then.

        Returns:
            The mean of the loss over the replicas, and the gradient norm.
        """
        # Gradients come as scaled as their loss; the norm is of the true ones.
        scale = optimizer.scale_loss(1.0)
        square = 2.0 * tf.add_n([tf.nn.l2_loss(g) for g in gradients])
        square /= scale**2
        # They ride with the moving averages: one reduction a step for all.
        values = tf.stack([loss, square, self._asked.read_value()])
        values = replicas.average_over_replicas(averaged, values)
        loss, norm = values[0], tf.sqrt(values[1])
        step = self._step.read_value() + 1
        self._step.assign(step)
        fine = tf.math.is_finite(loss)
        if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            fine &= tf.math.is_finite(norm)
        before = self._status[0]
        # The first bad step stays, however many follow before the host looks.
        bad = tf.where(fine | (before != _NONE), before, step)
        stop = tf.cast(values[2] > 0.0, tf.int64)
        self._status.assign(tf.stack([bad, stop]))
        rows = self._rows.read_value()
        row = tf.stack([loss, norm])[None]
        later = tf.concat([rows[1:], row], axis=0)
        self._rows.assign(tf.where(before == _NONE, later, rows))
        return loss, norm
