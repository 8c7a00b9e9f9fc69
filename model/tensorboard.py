"""What a training writes for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path

import keras
import tensorflow as tf

from model.step_logs import LOG_EVERY, learning_rate, scalars, step_of


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes loss, learning rate and images per second for TensorBoard."""

    def __init__(self, folder: Path, batch_size: int):
        super().__init__()
        self.batch_size = batch_size
        self._writer = tf.summary.create_file_writer(str(folder))
        self._last = (0, 0.0)

    def on_epoch_begin(self, epoch, logs=None):
        self._last = (step_of(self.model), time.monotonic())

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % LOG_EVERY == 0:
            self._write(scalars(logs))

    def on_epoch_end(self, epoch, logs=None):
        if step_of(self.model) > self._last[0]:
            self._write(scalars(logs))
        values = {f"epoch_{k}": v for k, v in scalars(logs).items()}
        with self._writer.as_default(step=epoch + 1):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _write(self, values):
        step, now = step_of(self.model), time.monotonic()
        last_step, last_time = self._last
        images = (step - last_step) * self.batch_size
        values["images_per_second"] = images / max(now - last_time, 1e-9)
        values["learning_rate"] = learning_rate(self.model)
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._last = (step, now)
