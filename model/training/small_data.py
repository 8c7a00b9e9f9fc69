"""The default config for fewer images than it was made for."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import replace

from beam_jobs.dataset.dataset_folder import TRAIN
from model.config import Config
from model.inputs.train_counts import images_in

# Of an epoch; what BENCHMARKS.md measures has 84.
_STEPS_AN_EPOCH = 20
# Of fewer in all little is learned, whatever the data.
_STEPS = 600
_LEAST_BATCH = 8


def fitted(config: Config, dataset: str | os.PathLike[str]) -> Config:
    """Returns the config with a batch and epochs for a small data set.

    Batches are halved until an epoch has 20 steps, down to 8 images; epochs
    are added until there are 600 steps.

    Raises:
        InputError: no data set.
    """
    images = images_in(dataset, TRAIN)
    if not images:
        return config
    schedule = config.schedule
    batch = schedule.batch_size
    while batch > _LEAST_BATCH and images < batch * _STEPS_AN_EPOCH:
        batch //= 2
    # Of less than a batch the training refuses to make anything.
    steps = max(images // batch, 1)
    epochs = max(schedule.epochs, math.ceil(_STEPS / steps))
    if (batch, epochs) == (schedule.batch_size, schedule.epochs):
        return config
    print(
        f"{images} images are few: batches of {batch} and {epochs} epochs, "
        f"not {schedule.batch_size} and {schedule.epochs}; --set "
        "schedule.batch_size=N and schedule.epochs=N choose others",
        # Not among an estimate's JSON.
        file=sys.stderr,
        flush=True,
    )
    schedule = replace(schedule, batch_size=batch, epochs=epochs)
    return replace(config, schedule=schedule)
