"""How a transfer learns, and of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options

RECIPES = (
    "adamw",
    "probe",
    "released",
    "hyperrule",
    "cosine_clip",
    "frozen_ema",
)


@dataclass(frozen=True)
class ClassifyOptions(Options):
    """Images of one class each, in folders or tars."""

    folder: Annotated[
        str,
        Option(
            "Folder with a folder for each class, or with ImageNet's "
            "<wnid>.tar; or with train/ and test/ above them.",
            argument=True,
        ),
    ]
    test: Annotated[
        str | None, Option("Folder of the images to judge by.", path=True)
    ] = None
    train_per_class: Annotated[
        int,
        Option("Without a test folder: images to learn of, drawn.", min=1),
    ] = 30
    test_per_class: Annotated[
        int | None,
        Option("Likewise: images to judge by. Default: all others.", min=1),
    ] = None
    seed: Annotated[int, Option("Of the draw and of the training.", min=0)] = 0
    recipe: Annotated[str, Option("How it learns.", choices=RECIPES)] = "adamw"
    image_sizes: Annotated[
        tuple[int, ...],
        Option(
            "Sides to train at, one after the other, pixels. Default: the "
            "source's.",
            flag="--image-size",
            min=8,
            max=4096,
        ),
    ] = ()
    test_size: Annotated[
        int | None,
        Option(
            "Side at which the classifier sees images when it has learned, "
            "whole; pixels. Default: that of the training, or 9/7 of it with "
            "frozen_ema.",
            min=8,
            max=4096,
        ),
    ] = None
    crops: Annotated[
        int, Option("Crops an image to judge by: 1 or 10.", min=1, max=10)
    ] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crops not in (1, 10):
            self.refuse("crops", "1 or 10")
        # They are cut from what a single crop leaves out.
        if self.crops != 1 and self.test_size is not None:
            self.refuse("test_size", "left out with 10 crops")
