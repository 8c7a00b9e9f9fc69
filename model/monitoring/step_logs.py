"""What callbacks read of a step: logs, learning rate, step number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

# Reading a log makes the host wait for the device.
LOG_EVERY = 10
# Logs of one step, of no meaning for an epoch.
_OF_A_STEP = ("gradient_norm",)


def scalars(logs: dict[str, Any] | None) -> dict[str, float]:
    """Returns the logs as numbers; they come with shape (1,)."""
    values = {k: np.ravel(np.asarray(v)) for k, v in (logs or {}).items()}
    return {k: float(v[0]) for k, v in values.items()}


def of_epoch(logs: dict[str, Any] | None) -> dict[str, float]:
    """Returns the logs that hold for a whole epoch."""
    values = scalars(logs)
    return {k: v for k, v in values.items() if k not in _OF_A_STEP}


def learning_rate(model: keras.Model) -> float:
    return float(np.asarray(model.optimizer.learning_rate))


def step_of(model: keras.Model) -> int:
    return int(np.asarray(model.optimizer.iterations))


class StepCounter(keras.callbacks.Callback):
    """Counts the steps of this run, for the callbacks that are made from it.

    Keras numbers the steps within an epoch, calls once for several of them
    (steps_per_execution), and may start within an epoch.

    Attributes:
        run_steps: steps since the start of this run.
        epoch_steps: steps of this epoch that this run has done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.run_steps = self.epoch_steps = 0
        self._first: int | None = None

    @property
    def earlier_steps(self) -> int:
        """Steps of this epoch that an earlier run has done."""
        return self._first or 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch_steps, self._first = 0, None

    def on_train_batch_begin(self, batch, logs=None):
        if self._first is None:
            self._first = batch

    def on_train_batch_end(self, batch, logs=None):
        done = batch + 1 - self.earlier_steps
        self.run_steps += done - self.epoch_steps
        self.epoch_steps = done
