"""Which learning rates are tried, and where it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options

PICTURE = "rates.png"


@dataclass(frozen=True)
class RateOptions(Options):
    """Learning rates from the lowest to the highest, by equal factors."""

    out: Annotated[Path, Option("Folder for the curve, PNG and CSV.")]
    steps: Annotated[int, Option("Training steps.", min=10, max=10**6)] = 100
    lowest: Annotated[float, Option("First learning rate.", over=0)] = 1e-5
    highest: Annotated[float, Option("Last learning rate.", over=0)] = 3.0

    def __post_init__(self):
        super().__post_init__()
        if self.lowest >= self.highest:
            raise InputError(
                "--lowest must be below --highest; received: "
                f"{self.lowest} and {self.highest}"
            )
