"""What an audit looks at, and how many findings it shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.dataset.dataset_folder import VALIDATION
from beam_jobs.option_fields import Option, Options

FINDINGS = "findings.csv"


@dataclass(frozen=True, kw_only=True)
class AuditOptions(Options):
    """Which images are scored, by whom, and what is shown."""

    out: Annotated[
        str, Option("Folder for the findings and their page.", path=True)
    ]
    split: Annotated[
        str, Option("Which images; those that the run has not seen.")
    ] = VALIDATION
    folds: Annotated[
        int | None,
        Option(
            "Look at the train split: as many trainings of the run's config, "
            "each without the images that it scores.",
            min=2,
            max=20,
        ),
    ] = None
    top: Annotated[
        int, Option("Most findings of a kind.", min=1, max=20_000)
    ] = 500
    per_class: Annotated[
        int, Option("Most of them of one class.", min=1, max=1000)
    ] = 100
    batch_size: Annotated[
        int, Option("Images the network sees at once.", min=1)
    ] = 64
    progress: Annotated[bool, Option("Show a bar.")] = True
    overwrite: Annotated[
        bool, Option("Replace findings in OUT, and what was said of them.")
    ] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.folds is not None and self.split != VALIDATION:
            self.refuse("split", "left out: --folds look at the train split")
