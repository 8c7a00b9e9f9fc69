"""Of which images an export keeps what it answers, for `tagforest drift`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options
from beam_jobs.split_names import CALIBRATION, SPLITS


@dataclass(frozen=True)
class ReferenceOptions(Options):
    """Held-out images; none where `dataset` is None.

    Attributes:
        dataset: its folder.
        split: that the model was not trained on.
        most: images, which lie evenly in the split.
    """

    dataset: Annotated[
        str | None,
        Option(
            "Data set whose held-out images `tagforest drift` compares with.",
            flag="--reference",
            path=True,
        ),
    ] = None
    split: Annotated[
        str,
        Option("Of it.", flag="--reference-split", choices=SPLITS),
    ] = CALIBRATION
    most: Annotated[
        int,
        Option("At most so many.", flag="--reference-images", min=100),
    ] = 5000
