"""What happens beside the steps: progress, files, TensorBoard, NaN stop."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from beam_jobs.errors import InputError
from model import workdir as files

# Reading a log makes the host wait for the device.
_LOG_EVERY = 10


class DivergedError(InputError):
    """The loss is no number any more."""


class EpochCheckpoint(keras.callbacks.Callback):
    """Writes weights, optimizer and loss state after every epoch.

    Args:
        workdir: the training's directory.
        keep: checkpoints that stay.
    """

    def __init__(self, workdir: Path, keep: int = 2):
        super().__init__()
        self.workdir = workdir
        self.keep = keep

    def on_epoch_end(self, epoch, logs=None):
        path = files.checkpoint_path(self.workdir, epoch + 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Keras wants the ending; a name that no reader looks for until done.
        partial = path.with_name(f"partial-{path.name}")
        self.model.save_weights(partial, overwrite=True)
        partial.replace(path)
        for old in files.checkpoints(self.workdir)[: -self.keep]:
            old.path.unlink()


class HistoryFile(keras.callbacks.Callback):
    """Keeps a row an epoch in history.json, over interruptions as well."""

    def __init__(self, path: Path, images_per_epoch: int):
        super().__init__()
        self.path = path
        self.images_per_epoch = images_per_epoch
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        rows = files.read_json(self.path, [])
        rows = [row for row in rows if row["epoch"] <= epoch]
        seconds = time.monotonic() - self._start
        row: dict[str, Any] = {"epoch": epoch + 1, **_scalars(logs)}
        row["seconds"] = round(seconds, 3)
        row["images_per_second"] = round(self.images_per_epoch / seconds, 2)
        row["learning_rate"] = _learning_rate(self.model)
        files.write_json(self.path, [*rows, row])


class StopOnNaN(keras.callbacks.Callback):
    """Stops with a message when the loss is not finite."""

    def __init__(self, workdir: Path):
        super().__init__()
        self.workdir = workdir
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch % _LOG_EVERY == 0:
            self._check(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._check("the last", logs)

    def _check(self, step, logs):
        loss = _scalars(logs).get("loss", 0.0)
        if np.isfinite(loss):
            return
        good = files.latest_checkpoint(self.workdir)
        kept = good.path if good else "none yet"
        rate = _learning_rate(self.model)
        raise DivergedError(
            f"the loss became {loss} in epoch {self._epoch + 1}, step {step}; "
            f"last good checkpoint: {kept}. The likely cause is the learning "
            f"rate, {rate:.3g} now: lower schedule.learning_rate or set "
            "schedule.clip_norm=1, with another --workdir"
        )


class Progress(keras.callbacks.Callback):
    """One bar an epoch on a terminal, else one line an epoch."""

    def __init__(self, epochs: int, steps: int, batch_size: int):
        super().__init__()
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self._bar: tqdm | None = None
        self._start = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()
        self._bar = tqdm(
            total=self.steps * self.batch_size,
            desc=f"epoch {epoch + 1:>2}/{self.epochs}",
            unit=" images",
            disable=not sys.stderr.isatty(),
            mininterval=0.5,
            leave=False,
        )

    def on_train_batch_end(self, batch, logs=None):
        if self._bar is None or self._bar.disable:
            return
        if batch % _LOG_EVERY == 0:
            loss = _scalars(logs).get("loss", 0.0)
            self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        self._bar.update(self.batch_size)

    def on_epoch_end(self, epoch, logs=None):
        if self._bar is not None:
            self._bar.close()
        seconds = time.monotonic() - self._start
        rate = self.steps * self.batch_size / seconds
        left = (self.epochs - epoch - 1) * seconds
        values = "  ".join(f"{k} {v:.3f}" for k, v in _scalars(logs).items())
        print(
            f"epoch {epoch + 1:>2}/{self.epochs}  {values}  "
            f"{rate:.0f} images/s  {seconds:.0f} s, {left:.0f} s left",
            flush=True,
        )


class TensorBoardScalars(keras.callbacks.Callback):
    """Writes loss, learning rate and images per second for TensorBoard."""

    def __init__(self, folder: Path, batch_size: int):
        super().__init__()
        self.batch_size = batch_size
        self._writer = tf.summary.create_file_writer(str(folder))
        self._last = (0, 0.0)

    def on_epoch_begin(self, epoch, logs=None):
        self._last = (_step(self.model), time.monotonic())

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % _LOG_EVERY == 0:
            self._write(_scalars(logs))

    def on_epoch_end(self, epoch, logs=None):
        if _step(self.model) > self._last[0]:
            self._write(_scalars(logs))
        values = {f"epoch_{k}": v for k, v in _scalars(logs).items()}
        with self._writer.as_default(step=epoch + 1):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def on_train_end(self, logs=None):
        self._writer.close()

    def _write(self, values):
        step, now = _step(self.model), time.monotonic()
        last_step, last_time = self._last
        images = (step - last_step) * self.batch_size
        values["images_per_second"] = images / max(now - last_time, 1e-9)
        values["learning_rate"] = _learning_rate(self.model)
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._last = (step, now)


def _scalars(logs: dict[str, Any] | None) -> dict[str, float]:
    """Returns the logs as numbers; they come with shape (1,)."""
    values = {k: np.ravel(np.asarray(v)) for k, v in (logs or {}).items()}
    return {k: float(v[0]) for k, v in values.items()}


def _learning_rate(model: keras.Model) -> float:
    return float(np.asarray(model.optimizer.learning_rate))


def _step(model: keras.Model) -> int:
    return int(np.asarray(model.optimizer.iterations))
