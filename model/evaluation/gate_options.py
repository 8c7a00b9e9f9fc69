"""What a tagger must reach to be blessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options

_PANEL = "Model gate"


@dataclass(frozen=True)
class ModelGateOptions(Options):
    """What a tagger must reach."""

    min_f1: Annotated[
        float, Option("Least F1@5.", min=0, max=1, panel=_PANEL)
    ] = 0.0
    min_leaf_f1: Annotated[
        float,
        Option(
            "Least F1@5 among the most specific classes.",
            min=0,
            max=1,
            panel=_PANEL,
        ),
    ] = 0.0
    min_macro_ap: Annotated[
        float,
        Option("Least macro average precision.", min=0, max=1, panel=_PANEL),
    ] = 0.0
    min_gain: Annotated[
        float,
        Option(
            "Least gain of F1@5, leaf F1@5 and macro AP over the most "
            "frequent tags for every image.",
            min=-1,
            max=1,
            panel=_PANEL,
        ),
    ] = 0.02
    tolerance: Annotated[
        float,
        Option(
            "How far below the last blessed model each of the three may be: "
            "the 95 % interval of the difference must reach it.",
            min=0,
            max=1,
            panel=_PANEL,
        ),
    ] = 0.0
    min_validation_images: Annotated[
        int,
        Option("Least validation images to judge by.", min=1, panel=_PANEL),
    ] = 100
