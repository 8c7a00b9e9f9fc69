"""A learning rate from trying all of them: a short training whose rate grows.

Smith 2015, https://arxiv.org/abs/1506.01186, section 3.3. The rate is
multiplied by the same factor at each step; the loss falls, faster and faster,
until the steps are too long. A tenth of the rate at which it was least is
small enough for a whole training (https://fastai1.fast.ai/callbacks.lr_finder).
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import functools
import io
import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from beam_jobs.errors import InputError
from model.config import Config
from model.inputs.input_pipeline import as_input_errors
from model.monitoring.step_logs import scalars
from model.training import prepare_workdir
from model.training import run as run_
from model.training import strategy as strategy_
from model.training.rate_options import PICTURE, RateOptions
from model.workers.cluster import Workers

CSV = "rates.csv"
# Of a loss in its running mean.
_MOMENTUM = 0.9
# Times the first loss: what is beyond does not come back.
_DIVERGED = 2.0
_SAFETY = 10.0


@dataclass(frozen=True)
class FoundRate:
    """What a training of growing rates has shown.

    Attributes:
        rates: float [steps].
        losses: float [steps], of each step's batch, before it.
        smoothed: float [steps], their running mean.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def least_at(self) -> float:
        """The rate at which the running mean was least."""
        return float(self.rates[self.smoothed.argmin()])

    @property
    def suggested(self) -> float:
        """A rate to train with."""
        return self.least_at / _SAFETY


def measure(
    config: Config, dataset: str, workdir: Path, options: RateOptions
) -> FoundRate:
    """Trains some steps; writes `options.out`.

    Args:
        workdir: of a training that nobody needs.

    Raises:
        InputError: as a training; or the loss fell at no rate.
    """
    with as_input_errors(dataset):
        losses = _losses(config, dataset, workdir, options)
    rates = _rates(options)[: len(losses)]
    found = FoundRate(rates, losses, smoothed(losses))
    if found.smoothed.argmin() == 0:
        raise InputError(
            f"the loss fell at no learning rate from {options.lowest} on: "
            "begin with a lower one (--lowest)"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    _write(found, options.out / CSV)
    _draw(found, options.out / PICTURE)
    return found


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Returns their exponential running mean, float64 [steps].

    Example:
        >>> smoothed(np.array([1.0, 2.0])).round(4).tolist()
        [1.0, 1.5263]
    """
    mean, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = _MOMENTUM * mean + (1 - _MOMENTUM) * loss
        # It begins with 0, which is no loss.
        found.append(mean / (1 - _MOMENTUM**step))
    return np.array(found)


def _rates(options: RateOptions) -> np.ndarray:
    return np.geomspace(options.lowest, options.highest, options.steps)


def _losses(
    config: Config, dataset: str, folder: Path, options: RateOptions
) -> np.ndarray:
    own = _growing(config, options)
    prepare_workdir.prepare(folder, dataset, own)
    strategy = strategy_.make_strategy(Workers())
    keras.utils.set_random_seed(own.seed)
    strategy_.check(own, strategy)
    # What it says of a training is not of this one.
    with contextlib.redirect_stdout(io.StringIO()):
        run = run_.make_run(own, dataset, folder, strategy, Workers(), None)
    print(
        f"{options.steps} steps of {own.schedule.batch_size} images, at rates "
        f"from {options.lowest:g} to {options.highest:g}",
        flush=True,
    )
    watch = _Watch(options.steps)
    epochs = math.ceil(options.steps / run.steps)
    run.tagger.fit(
        functools.partial(run_.distributed, run, None),
        epochs=epochs,
        steps_per_epoch=run.steps,
        verbose=0,
        callbacks=[watch],
    )
    return np.array(watch.losses)


def _growing(config: Config, options: RateOptions) -> Config:
    """Returns the config with a rate that grows from step to step."""
    schedule = dataclasses.replace(
        config.schedule,
        learning_rate=options.highest,
        warmup_learning_rate=options.lowest,
        warmup=float(options.steps - 1),
        warmup_stairs=0,
        unit="steps",
        decay="constant",
        decay_at=(),
        steps_per_execution=1,
        average=0.0,
        validate_every=0,
        best=None,
        stop_after=0,
    )
    return dataclasses.replace(config, schedule=schedule)


class _Watch(keras.callbacks.Callback):
    """Notes the loss of each step, and ends when it is hopeless."""

    def __init__(self, steps: int):
        super().__init__()
        self.losses: list[float] = []
        self._bar = tqdm(total=steps, unit=" steps", disable=None)
        self._steps, self._sum = steps, 0.0

    def on_train_batch_end(self, batch, logs=None):
        # Keras tells the mean of the epoch so far.
        total = scalars(logs)["loss"] * (batch + 1)
        loss = total - (self._sum if batch else 0.0)
        self._sum = total
        most = _DIVERGED * self.losses[0] if self.losses else math.inf
        # No number is above none: NaN ends it, too.
        hopeless = not loss < most
        if not hopeless:
            self.losses.append(loss)
            self._bar.update()
        if hopeless or len(self.losses) == self._steps:
            self._bar.close()
            self.model.stop_training = True


def _write(found: FoundRate, path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("learning_rate", "loss", "smoothed"))
        rows = zip(found.rates, found.losses, found.smoothed, strict=True)
        writer.writerows([f"{value:.6g}" for value in row] for row in rows)


def _draw(found: FoundRate, path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, color="0.8", label="a batch")
    axes.plot(found.rates, found.smoothed, label="running mean")
    axes.axvline(found.least_at, linestyle=":", label="least")
    axes.axvline(found.suggested, linestyle="--", label="suggested")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.legend()
    # Without the version of matplotlib: equal figures, equal bytes.
    figure.savefig(path, dpi=100, metadata={"Software": None})
