"""The sections of a training config that no weight depends on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Limits
from model.config_checks import Section

_POSITIVE = Limits(over=0)


@dataclass(frozen=True)
class CheckpointConfig(Section):
    """When a training saves all that it needs to go on.

    It does so after every epoch and when it is asked to stop; these add to
    that. They change nothing in the result: a training may go on with other
    ones.

    Attributes:
        every_steps: training steps from one to the next; 0 is off.
        every_seconds: likewise, in time; 0 is off.
        keep: the newest that stay.
        stall_seconds: longest time without the end of a step where several
            replicas train; the process then ends with status 75, to be
            started again. It must be longer than a compilation, a checkpoint
            or a look at one batch of validation; 0 is off.
    """

    every_steps: Annotated[int, Limits(min=0, max=10**9)] = 0
    every_seconds: Annotated[float, Limits(min=0, max=1e9)] = 600.0
    keep: Annotated[int, Limits(min=1, max=10**6)] = 2
    stall_seconds: Annotated[float, Limits(min=0, max=1e9)] = 900.0


@dataclass(frozen=True)
class LoggingConfig(Section):
    """What a training writes to be looked at; no weight depends on it.

    Attributes:
        every: steps between two points of a curve. Reading a value makes
            the host wait for the device.
        histograms_every: steps between histograms of the class state, with
            one more after each epoch; 0 writes none.
        metric_images: held-out images that P, R and F1 at 5 and 10 are
            computed on after each epoch; 0 is none.
        images: held-out images shown with their tags after each epoch; 0
            is none.
        projector_images: held-out images embedded for the projector at the
            end; 0 is none.
        input_wait: times the delivery of the data.
        hyperparameters: writes the config for the table of several runs.
        tracker: follows the epochs beside TensorBoard: `mlflow`, where
            MLFLOW_TRACKING_URI says (`pip install 'tagforest[mlflow]'`).
    """

    every: Annotated[int, _POSITIVE] = 10
    histograms_every: Annotated[int, Limits(min=0, max=10**9)] = 100
    metric_images: Annotated[int, Limits(min=0, max=10**6)] = 256
    images: Annotated[int, Limits(min=0, max=64)] = 8
    # The browser draws every one of them.
    projector_images: Annotated[int, Limits(min=0, max=10**4)] = 256
    input_wait: bool = True
    hyperparameters: bool = True
    tracker: Annotated[str | None, Limits(choices=("mlflow",))] = None

    def check_tracker(self) -> None:
        """Raises InputError unless the tracker, if any, is installed."""
        if self.tracker and find_spec(self.tracker) is None:
            raise InputError(
                f"logging.tracker {self.tracker} needs it installed: "
                f"pip install 'tagforest[{self.tracker}]'"
            )
