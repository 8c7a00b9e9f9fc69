"""Whether tags go beside the images, and under which name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options
from serving.api.tag_options import TagOptions

STEM, FULL = "stem", "full"
NAMES = (STEM, FULL)
_sidecar = partial(Option, panel="XMP sidecars")


@dataclass(frozen=True)
class SidecarOptions(Options):
    """Which sidecars are written.

    Attributes:
        above: classes above other tags are words too, not steps of paths
            alone.

    Raises:
        InputError: an option for what is not written.
    """

    xmp: Annotated[
        bool,
        _sidecar(
            "Write tags into FILE.xmp beside each image too; --sure "
            "--most-specific, all of them.",
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
    above: Annotated[
        bool,
        _sidecar("Classes above other tags are words too.", flag="--xmp-above"),
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.names != STEM and not self.xmp:
            raise InputError("--xmp-names needs --xmp")
        if self.above and not self.xmp:
            raise InputError("--xmp-above needs --xmp")

    def asked(self, select: TagOptions) -> TagOptions:
        """Returns which tags are words: those above are in the paths."""
        if self.xmp and not self.above:
            return replace(select, most_specific=True)
        return select
