"""What a few steps of a training take: times, seen from among its callbacks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras

from model.monitoring.step_logs import scalars

# Of the validation split, the first of which compiles.
_LOOK_STEPS = 8


class Probe(keras.callbacks.Callback):
    """Times two short epochs; the last of all callbacks.

    The first one compiles. In the second the first third of the steps is left
    out: it finds batches that wait from the end of the epoch before.

    Args:
        steps: of each of the epochs.
        logs: what is written for TensorBoard.

    Attributes:
        seconds_a_step: in the second epoch.
        seconds_after: from its last step to its end, validation excluded:
            the checkpoint and what is written for TensorBoard.
        seconds_a_look: at the whole validation split.
        seconds_an_epoch: the second one, all in all.
        first_end: when the first epoch ended, as `time.monotonic` has it.
        end: when the second did.
        log_bytes: after each epoch.
    """

    def __init__(self, steps: int, logs: Path):
        super().__init__()
        self.steps, self.logs = steps, logs
        self.log_bytes: list[int] = []
        self.seconds_a_step = self.seconds_after = self.seconds_a_look = 0.0
        self.seconds_an_epoch = self.first_end = self.end = 0.0
        self._looks = 0
        # The clock runs from the end of this step on.
        self._from, self._start = 0, 0.0
        self._begin = self._last = self._look = 0.0

    def shortened(self, validate: dict[str, Any]) -> dict[str, Any]:
        """Returns the arguments of `fit` for a look at a part of the split."""
        if not validate:
            return {}
        self._looks = validate["validation_steps"]
        return {"validation_steps": min(self._looks, _LOOK_STEPS)}

    def on_epoch_begin(self, epoch, logs=None):
        # For epochs of a single execution.
        self._from, self._start = 0, time.monotonic()
        self._begin = self._start

    def on_train_batch_end(self, batch, logs=None):
        done, third = batch + 1, self.steps // 3
        if done < self.steps and not self._from < third <= done:
            return
        # Whoever reads a value waits for the device.
        scalars(logs)
        now = time.monotonic()
        if done == self.steps:
            self.seconds_a_step = (now - self._start) / (done - self._from)
            self._last = now
        else:
            self._from, self._start = done, now

    def on_test_begin(self, logs=None):
        self._look = time.monotonic()

    def on_test_end(self, logs=None):
        self._look = time.monotonic() - self._look
        part = min(self._looks, _LOOK_STEPS)
        self.seconds_a_look = self._look * self._looks / part

    def on_epoch_end(self, epoch, logs=None):
        self.log_bytes.append(self.bytes_of_logs())
        self.end = time.monotonic()
        self.seconds_after = self.end - self._last - self._look
        self.first_end = self.first_end or self.end
        self.seconds_an_epoch = self.end - self._begin

    def bytes_of_logs(self) -> int:
        """Returns how many there are by now."""
        paths = self.logs.rglob("*")
        return sum(path.stat().st_size for path in paths if path.is_file())
