"""What a client may ask of the tags, as inputs of the signature `select`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from beam_jobs.classes.own_classes import is_class_id
from beam_jobs.errors import InputError
from beam_jobs.option_fields import Limits, Option, Options
from serving.api import contract

if TYPE_CHECKING:
    import numpy as np

TAGS = "Which tags"
_tags = partial(Option, panel=TAGS)
_OWN_THRESHOLD = -1.0


@dataclass(frozen=True)
class TagOptions(Options):
    """Which classes of an image are its tags.

    Attributes:
        max_labels: at most so many; the export has a limit of its own.
        min_confidence: from this score on, 0 to 1; None for every class's
            own threshold.
        most_specific: leaves out classes above other tags.
        include: class ids; only these classes and those below them. All
            if empty.
        exclude: class ids; not these, nor those below them.

    Raises:
        InputError: a number out of range, no class id, or too many.
    """

    max_labels: Annotated[int, Limits(min=1)] = 20
    min_confidence: Annotated[
        float | None,
        _tags(
            "Only from this score on, not the thresholds.",
            min=0,
            max=1,
            metavar="<float>",
        ),
    ] = None
    most_specific: Annotated[
        bool,
        _tags("No class above another tag; --sure.", flag="--most-specific"),
    ] = False
    include: Annotated[
        Sequence[str],
        _tags("Class id: it and what is below it; repeatable."),
    ] = ()
    exclude: Annotated[
        Sequence[str], _tags("Class id: not it, nor what is below it.")
    ] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
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
        import numpy as np

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
    wrong = [i for i in ids if not is_class_id(i)]
    if wrong:
        raise InputError(
            f"{name} takes ids of classes, as n02084071 or own:stop_sign; "
            f"received: {wrong[0]!r}"
        )
    if len(ids) > contract.MAX_LIST_IDS:
        raise InputError(
            f"{name} takes at most {contract.MAX_LIST_IDS} ids; "
            f"received: {len(ids)}"
        )
