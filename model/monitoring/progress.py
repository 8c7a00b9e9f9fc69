"""The progress of a training, on the terminal and in history.json."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from model import workdir as files
from model.full_disk import writing
from model.monitoring.step_logs import (
    LOG_EVERY,
    StepCounter,
    learning_rate,
    of_epoch,
    scalars,
)

# Between two lines where there is no terminal for a bar.
_SAY_SECONDS = 60.0


class HistoryFile(StepCounter):
    """Keeps a row an epoch in history.json, over interruptions as well.

    Args:
        more: from the epochs before one to what else its row says.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        more: Callable[[int], dict[str, Any]] = lambda epoch: {},
    ):
        super().__init__()
        self.more = more
        self.path = path
        self.batch_size = batch_size
        self._start = self._end = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self._start, self._end = time.monotonic(), 0.0

    def on_test_begin(self, logs=None):
        # The time of a validation is not that of the steps.
        self._end = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        rows = files.read_json(self.path, [])
        # An interrupted run may have written rows behind its checkpoint.
        rows = [row for row in rows if row["epoch"] <= epoch]
        seconds = (self._end or time.monotonic()) - self._start
        row: dict[str, Any] = {"epoch": epoch + 1, **of_epoch(logs)}
        images = self.epoch_steps * self.batch_size
        row["seconds"] = round(seconds, 3)
        row["images_per_second"] = round(images / seconds, 2)
        row["learning_rate"] = learning_rate(self.model)
        row |= self.more(epoch)
        with writing(
            self.path.parent, f"{self.path.name} of epoch {epoch + 1}"
        ):
            files.write_json(self.path, [*rows, row])


class Progress(StepCounter):
    """One bar an epoch on a terminal, else a line a minute; one an epoch."""

    def __init__(self, epochs: int, steps: int, batch_size: int):
        super().__init__()
        self.epochs, self.steps, self.batch_size = epochs, steps, batch_size
        self.epoch = 0
        self._bar: tqdm | None = None
        self._start = self._said = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        self.epoch = epoch
        self._start = self._said = time.monotonic()
        self._bar = tqdm(
            total=self.steps * self.batch_size,
            desc=f"epoch {epoch + 1:>2}/{self.epochs}",
            unit=" images",
            disable=not sys.stderr.isatty(),
            mininterval=0.5,
            leave=False,
        )

    def on_train_batch_end(self, batch, logs=None):
        before = self.epoch_steps
        super().on_train_batch_end(batch, logs)
        if self._bar is None or self._bar.disable:
            self._say_each_minute(batch + 1, logs)
            return
        if before // LOG_EVERY < self.epoch_steps // LOG_EVERY:
            loss = scalars(logs).get("loss", 0.0)
            self._bar.set_postfix_str(f"loss {loss:.3f}", refresh=False)
        self._bar.update((batch + 1) * self.batch_size - self._bar.n)

    def _say_each_minute(self, batch, logs):
        now = time.monotonic()
        if now - self._said < _SAY_SECONDS:
            return
        self._said = now
        rate = self.epoch_steps * self.batch_size / (now - self._start)
        left = (self.epochs - self.epoch) * self.steps - batch
        print(
            f"epoch {self.epoch + 1:>2}/{self.epochs}  step {batch}/"
            f"{self.steps}  loss {scalars(logs).get('loss', 0.0):.3f}  "
            f"{rate:.0f} images/s  {left * self.batch_size / rate:.0f} s left",
            flush=True,
        )

    def on_epoch_end(self, epoch, logs=None):
        if self._bar is not None:
            self._bar.close()
        seconds = time.monotonic() - self._start
        rate = self.epoch_steps * self.batch_size / seconds
        left = (self.epochs - epoch - 1) * self.steps * self.batch_size
        left /= max(rate, 1e-9)
        values = "  ".join(f"{k} {v:.3f}" for k, v in of_epoch(logs).items())
        print(
            f"epoch {epoch + 1:>2}/{self.epochs}  {values}  "
            f"{rate:.0f} images/s  {seconds:.0f} s, {left:.0f} s left",
            flush=True,
        )
