"""Whether tags go beside the images, and under which name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options

STEM, FULL = "stem", "full"
NAMES = (STEM, FULL)
_sidecar = partial(Option, panel="XMP sidecars")


@dataclass(frozen=True)
class SidecarOptions(Options):
    """Which sidecars are written.

    Raises:
        InputError: a name for what is not written.
    """

    xmp: Annotated[
        bool,
        _sidecar(
            "Write tags into FILE.xmp beside each image too; --sure.",
            flag="--xmp",
        ),
    ] = False
    names: Annotated[
        str,
        _sidecar(
            "stem: photo.xmp, as Lightroom; full: photo.jpg.xmp, as darktable "
            "and digiKam.",
            flag="--xmp-names",
            choices=NAMES,
            metavar=f"<{'|'.join(NAMES)}>",
        ),
    ] = STEM

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.names != STEM and not self.xmp:
            raise InputError("--xmp-names needs --xmp")
