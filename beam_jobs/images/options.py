"""Which images are accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options

# Beyond it the bands of `near_duplicates` may miss a pair.
MAX_DISTANCE = 11


@dataclass(frozen=True)
class ImageLimits(Options):
    """What is accepted.

    Pixels are checked before decoding; Pillow refuses all above 178,956,970
    whatever is said here.
    """

    max_bytes: Annotated[
        int, Option("Most bytes of a file.", min=1, panel="Images")
    ] = 32 * 1024 * 1024
    max_pixels: Annotated[
        int, Option("Most pixels, width x height.", min=1, panel="Images")
    ] = 64_000_000
    min_side: Annotated[
        int, Option("Least shorter side, pixels.", min=0, panel="Images")
    ] = 8
