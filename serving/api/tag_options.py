"""What a client may ask of the tags, as inputs of the signature `select`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beam_jobs.errors import InputError
from serving.api import contract

_WNID = re.compile(r"n\d{8}")
_OWN_THRESHOLD = -1.0


@dataclass(frozen=True)
class TagOptions:
    """Which classes of an image are its tags.

    Attributes:
        max_labels: at most so many; the export has a limit of its own.
        min_confidence: from this score on, 0 to 1; None for every class's
            own threshold.
        most_specific: leaves out classes above other tags.
        include: WordNet ids; only these classes and those below them. All
            if empty.
        exclude: WordNet ids; not these, nor those below them.

    Raises:
        InputError: a number out of range, no WordNet id, or too many.
    """

    max_labels: int = 20
    min_confidence: float | None = None
    most_specific: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.max_labels < 1:
            raise InputError(
                f"max_labels must be 1 or more; received: {self.max_labels}"
            )
        if self.min_confidence is not None and not (
            0.0 <= self.min_confidence <= 1.0
        ):
            raise InputError(
                "min_confidence must be 0 to 1; received: "
                f"{self.min_confidence}"
            )
        _check_ids("include", self.include)
        _check_ids("exclude", self.exclude)

    def row(self) -> dict[str, Any]:
        """Returns the inputs of one image, by name."""
        least = self.min_confidence
        return {
            contract.MAX_LABELS: self.max_labels,
            contract.MIN_CONFIDENCE: _OWN_THRESHOLD if least is None else least,
            contract.MOST_SPECIFIC: self.most_specific,
            contract.INCLUDE: " ".join(self.include),
            contract.EXCLUDE: " ".join(self.exclude),
        }

    def arrays(self, images: int) -> dict[str, np.ndarray]:
        """Returns the inputs of some images, by name; strings as bytes."""
        dtypes: dict[str, type] = {
            contract.MAX_LABELS: np.int32,
            contract.MIN_CONFIDENCE: np.float32,
            contract.MOST_SPECIFIC: np.bool_,
        }
        return {
            name: np.array([value] * images, dtypes[name])
            if name in dtypes
            else np.array([value.encode()] * images, object)
            for name, value in self.row().items()
        }


def _check_ids(name: str, ids: Sequence[str]) -> None:
    wrong = [i for i in ids if not _WNID.fullmatch(i)]
    if wrong:
        raise InputError(
            f"{name} takes WordNet ids, as n02084071; received: {wrong[0]!r}"
        )
    if len(ids) > contract.MAX_LIST_IDS:
        raise InputError(
            f"{name} takes at most {contract.MAX_LIST_IDS} ids; "
            f"received: {len(ids)}"
        )
