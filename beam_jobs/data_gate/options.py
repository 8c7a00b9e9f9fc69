"""What a data set must keep to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options

_PANEL = "Data gate"


@dataclass(frozen=True)
class DataGateOptions(Options):
    """Limits of a data set, alone and beside the last accepted one."""

    max_rejected: Annotated[
        float,
        Option("Largest share of images rejected.", min=0, max=1, panel=_PANEL),
    ] = 0.05
    max_across_splits: Annotated[
        float,
        Option(
            "Largest share of images outside train with a copy or "
            "near-duplicate in another split.",
            min=0,
            max=1,
            panel=_PANEL,
        ),
    ] = 0.01
    max_z: Annotated[
        float,
        Option(
            "Largest |z| by which a class's share of the images may move from "
            "the last accepted data.",
            over=0,
            panel=_PANEL,
        ),
    ] = 5.0
    least_images: Annotated[
        int,
        Option(
            "Images of a class in the last accepted data from which on it may "
            "not be lost or move.",
            min=1,
            panel=_PANEL,
        ),
    ] = 10
