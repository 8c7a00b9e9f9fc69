"""The base of losses that a `LossConfig` describes."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from model.config import LossConfig


class ConfigLoss(keras.losses.Loss):
    """A Keras loss that is saved as its config.

    Args:
        config: a LossConfig, or its fields as a dictionary.
    """

    default_name = ""

    def __init__(
        self,
        config: LossConfig | dict[str, Any],
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ):
        name = name or self.default_name
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        if isinstance(config, dict):
            config = LossConfig(**config)
        self.config = config

    def get_config(self) -> dict[str, Any]:
        values = dataclasses.asdict(self.config)
        return {**super().get_config(), "config": values}
