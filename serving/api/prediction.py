"""The answer for one image, the same over gRPC and REST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from serving.api import contract
from serving.api.drawn import (
    Detection,
    Segmentation,
    short,
    to_detection,
    to_segmentation,
)


class ServerError(RuntimeError):
    """The server did not answer, or refused.

    Attributes:
        code: gRPC's name of it, as `NOT_FOUND`; over REST, where it has no
            other, the HTTP status.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code


class RequestTooLargeError(ServerError):
    """Too many bytes or images for one request: fewer may be answered."""


@dataclass(frozen=True)
class VersionStatus:
    """A version of the model on the server.

    Attributes:
        version: its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: why it could not be loaded; empty if it could.
    """

    version: int
    state: str
    error: str = ""

    @property
    def is_available(self) -> bool:
        """Whether it answers."""
        return self.state == "AVAILABLE"

    @property
    def has_failed(self) -> bool:
        """Whether it does not load, and is not tried again."""
        return self.state == "END" and bool(self.error)


def version_statuses(reply: Any) -> list[VersionStatus]:
    """Returns what a GetModelStatusResponse tells."""
    return [
        VersionStatus(
            found.version,
            found.State.Name(found.state),
            found.status.error_message,
        )
        for found in reply.model_version_status
    ]


@dataclass(frozen=True)
class Tag:
    """One class with its score.

    Attributes:
        name: the first of the class's names.
        wnid: WordNet 3.0 id, or `own:stop_sign` of a class that it lacks.
        score: 0 to 1.
        leaf: the vocabulary has no class below it.
        is_tag: the score reaches the class's threshold.
        parents: ids of the classes right above it.
    """

    name: str
    wnid: str
    score: float
    leaf: bool = True
    is_tag: bool = True
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """The tags of one image, best first.

    Attributes:
        valid: False if the image could not be decoded or was too large.
        tags: empty if not valid.
        model_version: fingerprint of the weights.
        vocabulary_version: fingerprint of the classes.
    """

    valid: bool
    tags: tuple[Tag, ...]
    model_version: str = ""
    vocabulary_version: str = ""

    def top(self, count: int | None) -> Prediction:
        """Returns the same with at most `count` tags; None for all."""
        return replace(self, tags=self.tags[:count])

    def leaves(self) -> Prediction:
        """Returns the same without classes that others lie below."""
        return replace(self, tags=tuple(t for t in self.tags if t.leaf))

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary for `json.dumps`."""
        return asdict(self)


Answer = Prediction | Detection | Segmentation


@dataclass(frozen=True)
class TaggedImage:
    """An image with its tags, boxes or mask, or why it has none.

    Attributes:
        name: path or URL.
        prediction: not valid if there is an error.
        error: `reason: detail`; empty if there is none.
        mask: the file that its mask was written to; empty if none was.
    """

    name: str
    prediction: Answer
    error: str = ""
    mask: str = ""

    @property
    def reason(self) -> str:
        """The class of the error; empty if there is none."""
        return self.error.partition(":")[0]

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary for `json.dumps`; no error is None."""
        found = self.prediction.to_json()
        if isinstance(self.prediction, Segmentation):
            found["mask"] = self.mask or None
        return {"image": self.name, **found, "error": self.error or None}


_COLUMNS = (
    contract.NAMES,
    contract.WNIDS,
    contract.SCORE_VALUES,
    contract.LEAF,
    contract.IS_TAG,
    contract.PARENTS,
)
_VERSIONS = (contract.MODEL_VERSION, contract.VOCABULARY_VERSION)
# Outputs of a signature that answers with tags.
OUTPUTS = frozenset({*_COLUMNS, contract.VALID, *_VERSIONS})


def to_answer(row: Mapping[str, Any]) -> Answer:
    """Builds an answer from one row of what any export answers.

    Args:
        row: output name -> the row's value; strings as str, masks as bytes.
    """
    versions = [row[n] for n in _VERSIONS]
    if contract.BOXES in row:
        return to_detection(row, versions)
    if contract.MASK in row:
        return to_segmentation(row, versions)
    return to_prediction(row)


def to_prediction(row: Mapping[str, Any]) -> Prediction:
    """Builds a prediction from one row of the signature `serving_default`.

    Args:
        row: output name -> the row's value; strings as str.
    """
    versions = (row[n] for n in _VERSIONS)
    if not row[contract.VALID]:
        return Prediction(False, (), *versions)
    rows = zip(*(row[name] for name in _COLUMNS), strict=True)
    tags = (
        Tag(name, wnid, short(score), leaf, is_tag, _split(parents))
        for name, wnid, score, leaf, is_tag, parents in rows
        if wnid  # Rows that were selected from are filled up.
    )
    return Prediction(True, tuple(tags), *versions)


def _split(ids: str) -> tuple[str, ...]:
    return tuple(ids.split(",")) if ids else ()
