"""What a training ends with, and its files (no TensorFlow here)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model import workdir as files
from model.checkpoint_files import Best
from model.full_disk import writing


@dataclass(frozen=True)
class TrainResult:
    """What a training ended with.

    Attributes:
        workdir: where everything lies.
        epochs: finished, over all runs.
        steps: training steps in them.
        loss: mean over the last epoch.
        images_per_second: mean over this run's epochs; 0 if it had none.
        seconds: of this run, start-up included.
        weights_sha256: over all weights, in order.
        best: whose weights these are, with `schedule.best`.
        damaged: records that were passed over, over all runs.
    """

    workdir: str
    epochs: int
    steps: int
    loss: float
    images_per_second: float
    seconds: float
    weights_sha256: str
    best: Best | None = None
    damaged: int = 0


def write_result(workdir: Path, tagger: Any, result: TrainResult) -> None:
    """Writes the final weights and the result; the tagger trains no more.

    Raises:
        InputError: the disk is full.
    """
    # Keras would save its state too, twice the size of the weights.
    tagger.optimizer = None
    # By one rename: where the name is, the training is over.
    partial = workdir / f"partial-{files.WEIGHTS}"
    size = sum(np.asarray(w).nbytes for w in tagger.weights)
    with writing(workdir, files.WEIGHTS, size):
        tagger.save_weights(partial, overwrite=True)
        partial.replace(workdir / files.WEIGHTS)
    values = {k: v for k, v in asdict(result).items() if k != "workdir"}
    with writing(workdir, files.RESULT):
        files.write_json(workdir / files.RESULT, values)
