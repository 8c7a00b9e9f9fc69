"""In which format a tagger is written, and with what it is checked."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options
from beam_jobs.split_names import SPLITS, VALIDATION
from serving.formats.kinds import (
    FLOAT32,
    FORMATS,
    KINDS,
    LAYOUTS,
    PLAIN,
    PRECISIONS,
    SAVED_MODEL,
)

_format = partial(Option, panel="Other formats")


@dataclass(frozen=True)
class FormatOptions(Options):
    """A format, and the images that prove its answers.

    Attributes:
        dataset: of labelled images; None for noise, which float32 alone
            takes: what the others lose is measured in F1.

    Raises:
        InputError: a value or a combination that is not allowed.
    """

    format: Annotated[
        str,
        _format(
            "Others than savedmodel: OUT is one folder, without versions.",
            choices=FORMATS,
            metavar=f"<{'|'.join(FORMATS)}>",
        ),
    ] = SAVED_MODEL
    precision: Annotated[
        str,
        _format(
            "int8: quantised with images of --dataset.",
            choices=PRECISIONS,
            metavar=f"<{'|'.join(PRECISIONS)}>",
        ),
    ] = FLOAT32
    layout: Annotated[
        str,
        _format(
            "wd: BGR pixels and selected_tags.csv, for photo-tagging apps.",
            choices=LAYOUTS,
            metavar=f"<{'|'.join(LAYOUTS)}>",
        ),
    ] = PLAIN
    dataset: Annotated[
        str | None,
        _format("Data set to compare both on; default: noise.", path=True),
    ] = None
    split: Annotated[
        str, _format("Of it.", flag="--check-split", choices=SPLITS)
    ] = VALIDATION
    images: Annotated[
        int, _format("At most so many.", flag="--check-images", min=1)
    ] = 2000
    sample: Annotated[
        int,
        _format(
            "Training images that int8 fits its ranges to.",
            flag="--sample-images",
            min=1,
        ),
    ] = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format == SAVED_MODEL:
            # An instance to compare with would be checked like this one.
            if any(getattr(self, f.name) != f.default for f in fields(self)):
                raise InputError(
                    "--precision, --layout, --dataset and what is checked "
                    "with go with another --format than savedmodel"
                )
            return
        layouts = KINDS[self.format].layouts
        if self.layout not in layouts:
            raise InputError(
                f"--layout {self.layout} is of --format onnx alone; "
                f"received: --format {self.format}"
            )
        if self.precision != FLOAT32 and self.dataset is None:
            raise InputError(
                f"--precision {self.precision} is judged by F1 at 5: name "
                "labelled images with --dataset; received: none"
            )
