"""What scores are calibrated to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option
from model.network.options import BatchOptions

# Positives of a class, or of a subtree, that are enough for a fit.
LEAST_FOR_CALIBRATION = 100
LEAST_FOR_THRESHOLD = 50


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions(BatchOptions):
    """How to calibrate."""

    precision: Annotated[
        float | None,
        Option(
            "Thresholds for this precision; else for the most F1.",
            over=0,
            max=1,
        ),
    ] = None
    known_only: Annotated[
        bool,
        Option(
            "Leave unknown labels out, else they are negatives.",
            flag="--known-only",
        ),
    ] = False
    least_for_calibration: int = LEAST_FOR_CALIBRATION
    least_for_threshold: int = LEAST_FOR_THRESHOLD
