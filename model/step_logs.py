"""What callbacks read of a step: logs, learning rate, step number."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

# Reading a log makes the host wait for the device.
LOG_EVERY = 10


def scalars(logs: dict[str, Any] | None) -> dict[str, float]:
    """Returns the logs as numbers; they come with shape (1,)."""
    values = {k: np.ravel(np.asarray(v)) for k, v in (logs or {}).items()}
    return {k: float(v[0]) for k, v in values.items()}


def learning_rate(model: keras.Model) -> float:
    return float(np.asarray(model.optimizer.learning_rate))


def step_of(model: keras.Model) -> int:
    return int(np.asarray(model.optimizer.iterations))
