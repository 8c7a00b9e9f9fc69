"""The answer for one image, the same over gRPC and REST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from serving import contract


class ServerError(RuntimeError):
    """The server did not answer, or refused.

    Attributes:
        code: gRPC's name of it, as `NOT_FOUND`; over REST, where it has no
            other, the HTTP status.
    """

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True)
class Tag:
    """One class with its score.

    Attributes:
        name: the first of the class's names.
        wnid: WordNet 3.0 id.
        score: 0 to 1.
        leaf: the vocabulary has no class below it.
    """

    name: str
    wnid: str
    score: float
    leaf: bool = True


@dataclass(frozen=True)
class Prediction:
    """The tags of one image, best first.

    Attributes:
        valid: False if the image could not be decoded or was too large.
        tags: empty if not valid.
    """

    valid: bool
    tags: tuple[Tag, ...]

    def top(self, count: int) -> Prediction:
        """Returns the same with at most `count` tags."""
        return Prediction(self.valid, self.tags[:count])

    def leaves(self) -> Prediction:
        """Returns the same without classes that others lie below."""
        return Prediction(self.valid, tuple(t for t in self.tags if t.leaf))

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary for `json.dumps`."""
        return asdict(self)


INVALID = Prediction(valid=False, tags=())


def to_prediction(row: Mapping[str, Any]) -> Prediction:
    """Builds a prediction from one row of the signature `serving_default`.

    Args:
        row: output name -> the row's value; strings as str.
    """
    if not row[contract.VALID]:
        return INVALID
    columns = (
        contract.NAMES,
        contract.WNIDS,
        contract.SCORE_VALUES,
        contract.LEAF,
    )
    rows = zip(*(row[name] for name in columns), strict=True)
    tags = (Tag(n, w, _short(s), leaf) for n, w, s, leaf in rows)
    return Prediction(True, tuple(tags))


def _short(score: float) -> float:
    # The shortest number for the float32: the same over both transports.
    return float(str(np.float32(score)))
