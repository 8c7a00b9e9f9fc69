"""What a training writes for TensorBoard: curves, histograms, settings.

All values stand over the number of optimizer steps, so that a training that
goes on can remove what an interrupted run wrote behind its checkpoint.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from beam_jobs.dataset.dataset_folder import TRAIN, VALIDATION
from model import extension_notes
from model.config import Config, LossConfig
from model.config_sections import TAGS
from model.extension_notes import Note
from model.inputs.input_clock import InputClock, stalled
from model.loss_kinds import LOSS_KINDS
from model.losses import adaptive_loss
from model.monitoring.profile import Profile
from model.monitoring.projector import ProjectorBoard
from model.monitoring.sample_board import SampleBoard
from model.monitoring.step_logs import (
    StepCounter,
    learning_rate,
    of_epoch,
    scalars,
    step_of,
)
from model.workdir import LOGS

_EVENTS = "events.out.tfevents.*"


def open_writer(folder: Path, step: int) -> tf.summary.SummaryWriter:
    """Returns a writer that goes on behind a step.

    Args:
        step: what an earlier run wrote for later steps is removed.
    """
    for path in sorted(folder.glob(_EVENTS)):
        _cut(path, step)
    return tf.summary.create_file_writer(str(folder), flush_millis=10_000)


def show_picture(logs: Path, name: str, picture: Path, step: int) -> None:
    """Shows a PNG beside the curves; another of a later time replaces it.

    Args:
        logs: of the training.
        name: of the picture in TensorBoard, and of its folder.
    """
    folder = logs / name
    for path in folder.glob(_EVENTS):
        path.unlink()
    pixels = tf.io.decode_png(picture.read_bytes(), channels=3)
    with tf.summary.create_file_writer(str(folder)).as_default():
        tf.summary.image(name, pixels[None], step)


def _cut(path: Path, step: int) -> None:
    """Removes the events of later steps, and a half-written end."""
    partial = path.with_name(f"partial-{path.name}")
    values = 0
    with tf.io.TFRecordWriter(str(partial)) as kept:
        try:
            for record in tf.data.TFRecordDataset(str(path)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                if event.step <= step:
                    kept.write(record.numpy())
                    values += event.HasField("summary")
        except tf.errors.DataLossError:
            pass  # The run was killed as it wrote.
    # Without values, or from the beginning, there is nothing to go on from.
    if values and step:
        partial.replace(path)
    else:
        partial.unlink()
        path.unlink()


class Curves(StepCounter):
    """Writes loss, learning rate, speed and the wait for data.

    `loss` is the mean over the steps since its last point; what the logs hold
    at an epoch's end is named by `epoch_tag`.
    `input_wait_share` is the part of the time in which the training had no
    data to work on, see `model.inputs.input_clock`.

    Args:
        batch_size: images a step.
        every: steps between two points.
        batches_a_step: that the clock sees.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        batch_size: int,
        every: int,
        clock: InputClock | None = None,
        batches_a_step: int = 1,
    ):
        super().__init__()
        self.batch_size, self.every = batch_size, every
        self.clock, self.batches_a_step = clock, batches_a_step
        self._writer = writer
        self._warm = False
        self._logs: dict[str, Any] | None = None
        # Steps of the epoch, sum of their losses, and time at the last point.
        self._last = (0, 0.0, 0.0)

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._last = (0, 0.0, 0.0)

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        if not self._last[2]:
            self._last = (0, 0.0, time.time())

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        self._logs = logs
        if not self._warm:
            # The first step compiles: its time says nothing.
            self._warm = True
            done = self.epoch_steps
            behind = done + self.earlier_steps
            total = scalars(logs).get("loss", 0.0) * behind
            self._last = (done, total, time.time())
        elif self.epoch_steps - self._last[0] >= self.every:
            self._write(scalars(logs))

    def on_test_begin(self, logs=None):
        # The time of a validation is not that of the steps.
        self._write(scalars(self._logs))

    def on_epoch_end(self, epoch, logs=None):
        self._write(scalars(self._logs))
        with self._writer.as_default(step=step_of(self.model)):
            for name, value in of_epoch(logs).items():
                tf.summary.scalar(epoch_tag(name), value)
        self._writer.flush()

    def _write(self, values: dict[str, float]) -> None:
        # The logs have been read: the device has done all steps.
        done, now = self.epoch_steps, time.time()
        last, total, start = self._last
        if done == last:
            return
        # The mean is over the whole epoch, this run's part of it or not.
        loss = values.get("loss", 0.0) * (done + self.earlier_steps)
        values["loss"] = (loss - total) / (done - last)
        seconds = max(now - start, 1e-9)
        values["images_per_second"] = (done - last) * self.batch_size / seconds
        values["learning_rate"] = learning_rate(self.model)
        wait = self._wait(done - last, start, now)
        if wait is not None:
            values["input_wait_share"] = wait / seconds
        with self._writer.as_default(step=step_of(self.model)):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._last = (done, loss, now)

    def _wait(self, steps: int, start: float, end: float) -> float | None:
        if self.clock is None:
            return None
        last = self.run_steps * self.batches_a_step
        first = last - steps * self.batches_a_step
        times = self.clock.times(first, last)
        return None if times is None else stalled(times, start, end)


def epoch_tag(name: str) -> str:
    """Returns the tag of a figure of an epoch, one group a figure.

    TensorBoard shows the tags of a group side by side.

    Example:
        >>> epoch_tag("loss"), epoch_tag("val_loss")
        ('epoch_loss/train', 'epoch_loss/validation')
    """
    figure = name.removeprefix("val_")
    split = TRAIN if figure == name else VALIDATION
    return f"epoch_{figure}/{split}"


class ClassState(StepCounter):
    """Writes histograms of the state of the adaptive loss.

    r_t (`class_coefficient`) of all classes met so far, as if each were
    selected; batches in a row with a positive of the class, and without;
    positives of each class in the batch, of the classes that have some.

    Args:
        every: steps between two.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        config: LossConfig,
        every: int,
    ):
        super().__init__()
        self.config, self.every = config, every
        self._writer = writer
        self._last = 0

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self.run_steps - self._last >= self.every:
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        if self.run_steps > self._last:
            self._write()

    def _write(self) -> None:
        self._last = self.run_steps
        runs = np.asarray(self.model.runs)
        positives = np.asarray(self.model.batch_positives)
        histograms = class_histograms(runs, positives, self.config)
        present = float(np.mean(runs[0] > 0))
        with self._writer.as_default(step=step_of(self.model)):
            for name, values in histograms.items():
                tf.summary.histogram(f"class_state/{name}", values)
            tf.summary.scalar("class_state/share_in_batch", present)


def class_histograms(
    runs: np.ndarray, positives: np.ndarray, config: LossConfig
) -> dict[str, np.ndarray]:
    """Returns what each histogram of the class state is made of.

    Args:
        runs: float [2, classes], see `adaptive_loss.update_runs`.
        positives: float [classes], of the last batch.
    """
    met = runs[:, runs.max(axis=0) > 0]
    found = {
        "positive_run": met[0, met[0] > 0],
        "negative_run": met[1, met[0] == 0],
        "positives_in_batch": positives[positives > 0],
    }
    if config.kind in LOSS_KINDS and LOSS_KINDS[config.kind].coefficients:
        present = (met[0] > 0).astype(np.float32)
        coefficients = adaptive_loss.class_coefficients(
            met, present, np.ones_like(present), config
        )
        found["class_coefficient"] = np.asarray(coefficients)
    return {name: values for name, values in found.items() if values.size}


class Hyperparameters(keras.callbacks.Callback):
    """Writes the config for the table that compares several runs.

    Args:
        config: all of it but what is written for TensorBoard.
        name: of the run in the table.
    """

    def __init__(
        self, writer: tf.summary.SummaryWriter, config: Config, name: str
    ):
        super().__init__()
        self.config, self.name = config, name
        self._writer = writer

    def on_train_begin(self, logs=None):
        from tensorboard.plugins.hparams import api

        values = hyperparameters(self.config)
        with self._writer.as_default(step=0):
            api.hparams(values, trial_id=self.name)
        self._writer.flush()

    def on_train_end(self, logs=None):
        from tensorboard.plugins.hparams import api_pb2, summary

        end = summary.session_end_pb(api_pb2.STATUS_SUCCESS)
        with self._writer.as_default(step=0):
            tf.summary.experimental.write_raw_pb(end.SerializeToString())


def hyperparameters(config: Config) -> dict[str, Any]:
    """Returns the fields of a config by their path, as TensorBoard takes them.

    Lists become text, and None too.
    """
    values: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        section = value if isinstance(value, dict) else {"": value}
        for key, inner in section.items():
            values[f"{name}.{key}".rstrip(".")] = inner
    return {
        name: value if isinstance(value, (bool, int, float)) else str(value)
        for name, value in values.items()
        if not name.startswith("logging.")
    }


class Extensions(keras.callbacks.Callback):
    """Writes what `tagforest train --extend` changed, where it begins."""

    def __init__(self, writer: tf.summary.SummaryWriter, notes: list[Note]):
        super().__init__()
        self.notes = notes
        self._writer = writer

    def on_train_begin(self, logs=None):
        for note in self.notes:
            with self._writer.as_default(step=note.step):
                tf.summary.text("extended", str(note))


class CloseWriter(keras.callbacks.Callback):
    """Closes the event file at the end; to stand behind all who write."""

    def __init__(self, writer: tf.summary.SummaryWriter):
        super().__init__()
        self._writer = writer

    def on_train_end(self, logs=None):
        self._writer.close()


def make_callbacks(
    config: Config,
    dataset: str | os.PathLike[str],
    workdir: Path,
    *,
    step: int,
    clock: InputClock | None = None,
    batches_a_step: int = 1,
    profile: tuple[int, int] | None = None,
) -> list[keras.callbacks.Callback]:
    """Returns all that writes to `workdir/logs`; for the chief only.

    Args:
        config: of the training; `config.logging` says what is written.
        step: of the checkpoint that it goes on from; later values go.
        batches_a_step: that the clock sees.
    """
    wanted, folder = config.logging, workdir / LOGS
    if config.head.task != TAGS:
        # What follows is about classes of whole images.
        wanted = dataclasses.replace(
            wanted,
            histograms_every=0,
            metric_images=0,
            images=0,
            projector_images=0,
        )
    writer = open_writer(folder, step)
    batch_size = config.schedule.batch_size
    made: list[keras.callbacks.Callback] = [
        Curves(writer, batch_size, wanted.every, clock, batches_a_step)
    ]
    if wanted.histograms_every:
        made.append(ClassState(writer, config.loss, wanted.histograms_every))
    if wanted.metric_images or wanted.images:
        made.append(SampleBoard(writer, config, dataset, workdir))
    if wanted.projector_images:
        made.append(ProjectorBoard(folder, config, dataset, workdir))
    if wanted.hyperparameters:
        made.append(Hyperparameters(writer, config, workdir.absolute().name))
    begin = [n for n in extension_notes.load(workdir) if n.step == step]
    made.append(Extensions(writer, begin))
    if profile is not None:
        made.append(Profile(folder, *profile))
    return [*made, CloseWriter(writer)]
