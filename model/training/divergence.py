"""The stop at a loss that is no finite number, with its likely cause."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from beam_jobs.errors import InputError
from model import checkpoint_files as files
from model.config import Config
from model.config_sections import TAGS
from model.network.step_watch import Seen
from model.training.schedules import WarmupThenDecay, in_steps

# A gradient so many times the usual one is a training that runs away.
_GROWTH = 10.0
# A step that moves the weights so far leaves no network.
_FAR = 10.0
# Losses of a fresh network are far below it.
_LARGE_LOSS = 1e8


class DivergedError(InputError):
    """Loss or gradient is no finite number any more."""


@dataclass(frozen=True)
class Evidence:
    """What is known of the first step that went wrong.

    Attributes:
        step: its number, from 1.
        seen: losses and gradient norms up to it.
        bad_images: of the batch, with a value that is not finite.
        bad_targets: of the batch, with a value other than 1, 0 and -1.
        loss_scaled: whether float16 gradients were kept from underflow.
    """

    step: int
    seen: Seen
    bad_images: int = 0
    bad_targets: int = 0
    loss_scaled: bool = False


def likely_cause(
    evidence: Evidence, config: Config, steps_per_epoch: int
) -> str:
    """Returns the cause that the evidence speaks for, and what to set."""
    # Surest first: data that is seen to be wrong, a training that runs away,
    # the range of float16.
    if evidence.bad_images or evidence.bad_targets:
        return _data_cause(evidence)
    rate = _rate(evidence.step, config, steps_per_epoch)
    # The last is the step that failed: its norm is no number.
    norms = evidence.seen.norms[:-1]
    losses = evidence.seen.losses
    losses = losses[np.isfinite(losses)]
    if _runs_away(norms) or _runs_away(losses) or _moves_far(rate, norms):
        return _rate_cause(evidence, config, steps_per_epoch)
    if config.network.precision == "mixed_float16":
        return _float16_cause(evidence)
    if losses.size and losses[-1] > _LARGE_LOSS:
        return (
            f"The likely cause is the size of the loss, {losses[-1]:.3g}: "
            "lower loss.positive_weight, or set loss.reduction=mean"
        )
    return (
        f"The steps before show no cause{_norms(norms)}; the learning rate "
        f"was {rate:.3g}: try a lower schedule.learning_rate, "
        "schedule.clip_norm=1, or network.precision=float32"
    )


def _data_cause(evidence: Evidence) -> str:
    if evidence.bad_images:
        what = f"{evidence.bad_images} images of its batch are not finite"
    else:
        what = f"{evidence.bad_targets} images of its batch have no 0/1 targets"
    return (
        f"The likely cause is the data: {what}; build the data set anew, and "
        "see whether data.colour_probability=0 or data.rotation_probability=0 "
        "cures it"
    )


def _rate_cause(evidence: Evidence, config: Config, steps: int) -> str:
    schedule = config.schedule
    rate = _rate(evidence.step, config, steps)
    warmup = in_steps(schedule.warmup, schedule, steps)
    if not warmup:
        when = "there is no warm-up: set schedule.warmup, or lower"
    elif evidence.step <= warmup:
        when = f"in the warm-up of {warmup:.0f} steps: lower"
    else:
        when = f"after the warm-up of {warmup:.0f} steps: lower"
    clip = "" if schedule.clip_norm else ", or set schedule.clip_norm=1"
    return (
        f"The likely cause is the learning rate, {rate:.3g} then"
        f"{_norms(evidence.seen.norms[:-1])}; {when} "
        f"schedule.learning_rate{clip}"
    )


def _float16_cause(evidence: Evidence) -> str:
    scaled = "with" if evidence.loss_scaled else "without"
    return (
        f"The likely cause is float16, {scaled} loss scaling: it ends at "
        f"65,504{_norms(evidence.seen.norms[:-1])}; set "
        "network.precision=mixed_bfloat16, or float32"
    )


def _rate(step: int, config: Config, steps_per_epoch: int) -> float:
    schedule = WarmupThenDecay(config.schedule, steps_per_epoch)
    return float(schedule(step - 1))


def _runs_away(values: np.ndarray) -> bool:
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return False
    return bool(values[-1] > _GROWTH * max(np.min(values), 1e-12))


def _moves_far(rate: float, norms: np.ndarray) -> bool:
    return bool(norms.size and rate * norms[-1] > _FAR)


def _norms(norms: np.ndarray) -> str:
    if not norms.size:
        return ""
    shown = ", ".join(f"{n:.3g}" for n in norms[-4:])
    return f" (gradient norms before: {shown})"


class StopOnNaN(keras.callbacks.Callback):
    """Stops with a message at the first step that is not finite.

    Args:
        read_batch: from epoch and step within it to the images and targets
            of the global batch.
    """

    def __init__(
        self,
        workdir: Path,
        config: Config,
        steps_per_epoch: int,
        read_batch: Callable[[int, int], tuple[np.ndarray, np.ndarray]],
    ):
        super().__init__()
        self.workdir = workdir
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.read_batch = read_batch
        self._unread = 0

    def on_train_batch_end(self, batch, logs=None):
        # Reading the status waits for the device: not at each step of a GPU.
        self._unread += 1
        if self._unread >= self.model.watch.read_every:
            self._check()

    def on_epoch_end(self, epoch, logs=None):
        self._check()

    def _check(self):
        self._unread = 0
        bad, _ = self.model.watch.status()
        if bad is not None:
            raise DivergedError(self._message(bad))

    def _message(self, step: int) -> str:
        epoch, batch = divmod(step - 1, self.steps_per_epoch)
        evidence = self._evidence(step, epoch, batch)
        loss = evidence.seen.losses[-1]
        what = f"the loss became {loss:.3g}"
        if math.isfinite(loss):
            what = f"the gradient became {evidence.seen.norms[-1]:.3g}"
        good = files.latest_checkpoint(self.workdir, lambda line: None)
        kept = f"{good.path} ({good.position})" if good else "none yet"
        cause = likely_cause(evidence, self.config, self.steps_per_epoch)
        return (
            f"{what} at step {step} (epoch {epoch + 1}, step {batch + 1}); "
            f"last good checkpoint: {kept}. {cause}, in a new training"
        )

    def _evidence(self, step: int, epoch: int, batch: int) -> Evidence:
        # Nothing keeps a batch during the step: this one is read once more.
        images, *targets = self.read_batch(epoch, batch)
        rows = np.isfinite(images).all(axis=(1, 2, 3))
        known = np.isfinite(targets[0]).reshape(len(images), -1).all(axis=1)
        if self.config.head.task == TAGS:
            known &= ((targets[0] >= -1) & (targets[0] <= 1)).all(axis=1)
        scaling = keras.optimizers.LossScaleOptimizer
        return Evidence(
            step=step,
            seen=self.model.watch.seen(),
            bad_images=int((~rows).sum()),
            bad_targets=int((~known).sum()),
            loss_scaled=isinstance(self.model.optimizer, scaling),
        )
