"""A training in an experiment tracker, beside TensorBoard: MLflow.

Where its server is, as what and under which experiment, MLflow's own
environment variables say (MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME,
https://mlflow.org/docs/latest/api_reference/cli.html). Another tracker is
another class with `begin`, `log` and `end`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import keras

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model.config import Config
from model.monitoring.step_logs import learning_rate, of_epoch, step_of
from model.workdir import TRACKED

# What its servers take at once.
_PARAMETERS_A_CALL = 100


class Tracker(Protocol):
    """Where a training is followed."""

    def begin(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Begins, or goes on with what an earlier process began.

        Args:
            name: of the training, to be shown.
            parameters: its settings, of the first time.
        """

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Adds a point to each curve."""

    def end(self) -> None:
        """Says that the training is over; one that was stopped does not."""


class MlflowRun:
    """A run of MLflow; a training that goes on stays the same run.

    Args:
        kept: a file for the run's id.
    """

    def __init__(self, kept: Path):
        self._kept = kept
        self._id = ""
        self._client: Any = None

    def begin(self, name: str, parameters: Mapping[str, Any]) -> None:
        # Takes seconds, and reads the variables, which may be wrong.
        from mlflow import MlflowClient

        self._client = MlflowClient()
        if self._kept.is_file():
            self._id = self._kept.read_text(encoding="utf-8").strip()
            self._client.update_run(self._id, status="RUNNING")
            return
        run = self._client.create_run(self._experiment(), run_name=name)
        self._id = run.info.run_id
        from mlflow.entities import Param

        rows = [Param(k, str(v)) for k, v in parameters.items()]
        for first in range(0, len(rows), _PARAMETERS_A_CALL):
            few = rows[first : first + _PARAMETERS_A_CALL]
            self._client.log_batch(self._id, params=few)
        # Last: one that goes on says its parameters no more.
        storage.write_text(self._kept, f"{self._id}\n")

    def log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        rows = [Metric(n, v, now, step) for n, v in values.items()]
        # At once: a server that is lost is waited for once an epoch.
        self._client.log_batch(self._id, metrics=rows)

    def end(self) -> None:
        self._client.set_terminated(self._id, "FINISHED")

    def _experiment(self) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        return self._client.create_experiment(name)


class Tracking(keras.callbacks.Callback):
    """Tells a tracker of each epoch.

    That it cannot begin ends the training; that it fails later does not, and
    is said: curves are no reason to lose days.
    """

    def __init__(
        self, tracker: Tracker, name: str, parameters: Mapping[str, Any]
    ):
        super().__init__()
        self._tracker, self._name = tracker, name
        self._parameters = parameters

    def on_train_begin(self, logs=None):
        try:
            self._tracker.begin(self._name, self._parameters)
        except Exception as error:  # of any tracker
            raise InputError(f"logging.tracker: {_short(error)}") from error

    def on_epoch_end(self, epoch, logs=None):
        rate = {"learning_rate": learning_rate(self.model)}
        with _said():
            self._tracker.log(of_epoch(logs) | rate, step_of(self.model))

    def on_train_end(self, logs=None):
        with _said():
            self._tracker.end()


def make_tracking(
    config: Config, workdir: Path, parameters: Mapping[str, Any]
) -> list[Tracking]:
    """Returns the callback of `config.logging.tracker`, if there is one."""
    if config.logging.tracker is None:
        return []
    tracker = MlflowRun(workdir / TRACKED)
    name = workdir.absolute().name
    return [Tracking(tracker, name, {"workdir": workdir, **parameters})]


@contextlib.contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of any tracker
        print(
            f"logging.tracker: {_short(error)}; the training goes on",
            file=sys.stderr,
        )


def _short(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first}"
