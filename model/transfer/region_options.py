"""How detection and segmentation learn, and of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options
from beam_jobs.sources.find_sources import SourcePaths


@dataclass(frozen=True)
class RegionOptions(Options):
    """Images with boxes or masks."""

    sources: SourcePaths
    splits: Annotated[
        str | None,
        Option(
            "As of `tagforest dataset`. Default: the sources' own, and "
            "train=0.8,validation=0.2 where they have none."
        ),
    ] = None
    image_size: Annotated[
        int | None,
        Option("Side to train at, pixels. Default: the source's.", min=32),
    ] = None
    epochs: Annotated[
        int | None,
        Option("Passes. Default: as many as make 1,200 steps.", min=1),
    ] = None
    seed: Annotated[int, Option("Of the draw and of the training.", min=0)] = 0
