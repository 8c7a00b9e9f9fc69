"""Which classes a vocabulary holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options

_PANEL = "Classes"


@dataclass(frozen=True)
class VocabularyOptions(Options):
    """Which classes a vocabulary holds.

    A vocabulary given as `base` is used as it is; when it grows, its ids
    stay. 650 Open Images are the paper's least (section 2.2).
    """

    base: Annotated[
        str | None,
        Option(
            "Published dictionary or vocabulary.tsv. Default: built from the "
            "annotated classes and their WordNet ancestors.",
            flag="--vocabulary",
            path=True,
            panel=_PANEL,
        ),
    ] = None
    grow: Annotated[
        bool,
        Option(
            "Add annotated classes that the vocabulary lacks; the others keep "
            "their index.",
            panel=_PANEL,
        ),
    ] = False
    min_images: Annotated[
        int, Option("Least images of a class, when built.", min=1, panel=_PANEL)
    ] = 1
    min_images_open_images: Annotated[
        int,
        Option(
            "The same for classes that only Open Images has.",
            min=1,
            panel=_PANEL,
        ),
    ] = 650
    abstract_classes: Annotated[
        str | None,
        Option(
            "Rules that leave out classes no image shows. Default: "
            "beam_jobs/abstract_classes.tsv; an empty name leaves none out.",
            path=True,
            panel=_PANEL,
        ),
    ] = None
    class_map: Annotated[
        str | None,
        Option(
            "CSV or TSV of what names of any source mean: name, class (a "
            "WordNet id, own:..., or empty to leave it out), parent. A "
            "wordnet-overrides.csv beside a source is read as well. "
            "`tagforest classes` writes one to edit.",
            path=True,
            panel=_PANEL,
        ),
    ] = None
    names: Annotated[
        tuple[str, ...],
        Option(
            "Names are in another language: its file of Open Multilingual "
            "WordNet, as wn-data-deu.tab.",
            path=True,
            panel=_PANEL,
        ),
    ] = ()
    merges: Annotated[
        str | None,
        Option(
            "TSV of classes whose labels go to another: wnid, into.",
            path=True,
            panel=_PANEL,
        ),
    ] = None
    removals: Annotated[
        str | None,
        Option("TSV of classes to leave out: wnid.", path=True, panel=_PANEL),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grow and self.base is None:
            raise InputError(
                "only a vocabulary that is there can grow: name one as base "
                "(--vocabulary FILE)"
            )
        if self.base is not None and not self.grow:
            for name in ("merges", "removals"):
                if getattr(self, name) is not None:
                    # A vocabulary that stays as it is would pass over them.
                    self.refuse(name, "left out, or given with --grow")
