"""Checkpoints after every epoch, and the stop at a loss that is no number."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from beam_jobs.errors import InputError
from model import workdir as files
from model.step_logs import LOG_EVERY, learning_rate, scalars


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


class StopOnNaN(keras.callbacks.Callback):
    """Stops with a message when the loss is not finite."""

    def __init__(self, workdir: Path):
        super().__init__()
        self.workdir = workdir
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch % LOG_EVERY == 0:
            self._check(batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._check("the last", logs)

    def _check(self, step, logs):
        loss = scalars(logs).get("loss", 0.0)
        if np.isfinite(loss):
            return
        good = files.latest_checkpoint(self.workdir)
        kept = good.path if good else "none yet"
        rate = learning_rate(self.model)
        raise DivergedError(
            f"the loss became {loss} in epoch {self._epoch + 1}, step {step}; "
            f"last good checkpoint: {kept}. The likely cause is the learning "
            f"rate, {rate:.3g} now: lower schedule.learning_rate or set "
            "schedule.clip_norm=1, with another --workdir"
        )
