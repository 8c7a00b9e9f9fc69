"""A profile of some steps of a training, for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from model.monitoring.step_logs import StepCounter, scalars


class Profile(StepCounter):
    """Profiles host and devices during some steps of the run.

    TensorBoard shows it with the package `tensorboard-plugin-profile`.

    Args:
        folder: of the event files; the profile goes to `plugins/profile`.
        first, last: steps of this run, from 1.
    """

    def __init__(self, folder: Path, first: int, last: int):
        super().__init__()
        self.folder, self.first, self.last = folder, first, last
        self._started = self._running = False
        self._step: Any = None

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        if not self._started and self.run_steps >= self.first - 1:
            self._started = self._running = True
            tf.profiler.experimental.start(str(self.folder))
        if self._running:
            # Without a mark (`_r`) no page of it knows a step's time.
            self._step = tf.profiler.experimental.Trace(
                "train", step_num=self.run_steps + 1, _r=1
            )
            self._step.__enter__()

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if not self._running:
            return
        over = self.run_steps >= self.last
        if over:
            # Reading waits for the device, so that its work is in it.
            scalars(logs)
        self._step.__exit__(None, None, None)
        if over:
            self._stop()

    def on_train_end(self, logs=None):
        if self._running:
            self._stop()

    def _stop(self):
        tf.profiler.experimental.stop()
        self._running = False
