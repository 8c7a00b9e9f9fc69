"""Answers that are drawn on an image: boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from serving.api import contract


@dataclass(frozen=True)
class Box:
    """An object that a detector found.

    Attributes:
        name: the first of its class's names.
        wnid: WordNet 3.0 id, or `own:stop_sign` of a class that it lacks.
        score: 0 to 1.
        ymin, xmin, ymax, xmax: in pixels of the image that was sent.
    """

    name: str
    wnid: str
    score: float
    ymin: float
    xmin: float
    ymax: float
    xmax: float


@dataclass(frozen=True)
class Detection:
    """The boxes of one image, best first.

    Attributes:
        valid: False if the image could not be decoded or was too large.
        boxes: empty if not valid.
        model_version, vocabulary_version: see `Prediction`.
    """

    valid: bool
    boxes: tuple[Box, ...] = ()
    model_version: str = ""
    vocabulary_version: str = ""

    def top(self, count: int | None) -> Detection:
        """Returns the same with at most `count` boxes."""
        return replace(self, boxes=self.boxes[:count])

    def over(self, least: float) -> Detection:
        """Returns the same with the boxes of at least a score."""
        kept = tuple(box for box in self.boxes if box.score >= least)
        return replace(self, boxes=kept)

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary for `json.dumps`."""
        return asdict(self)


@dataclass(frozen=True)
class Segment:
    """A class in a mask.

    Attributes:
        id: of its pixels; 0 is the background.
        name, wnid: as of a `Box`; the background has no wnid.
        share: its part of the pixels.
    """

    id: int
    name: str
    wnid: str
    share: float


@dataclass(frozen=True)
class Segmentation:
    """The mask of one image.

    Attributes:
        valid: False if the image could not be decoded or was too large.
        segments: the classes with pixels, the largest first.
        mask: a PNG of ids, grayscale, in the image's own size.
        model_version, vocabulary_version: see `Prediction`.
    """

    valid: bool
    segments: tuple[Segment, ...] = ()
    mask: bytes = b""
    model_version: str = ""
    vocabulary_version: str = ""

    def top(self, count: int | None) -> Segmentation:
        """Returns the same with at most `count` classes listed."""
        return replace(self, segments=self.segments[:count])

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary for `json.dumps`, without the mask."""
        values = asdict(self)
        del values["mask"]
        return values


def to_detection(row: Mapping[str, Any], versions: Sequence[str]) -> Detection:
    """Builds a detection from one row of a signature's outputs."""
    columns = (contract.NAMES, contract.WNIDS, contract.SCORE_VALUES)
    rows = zip(
        *(row[name] for name in columns), row[contract.BOXES], strict=True
    )
    boxes = tuple(
        Box(name, wnid, short(score), *map(short, sides))
        for name, wnid, score, sides in rows
        if wnid  # The rest is filled up.
    )
    return Detection(row[contract.VALID], boxes, *versions)


def to_segmentation(
    row: Mapping[str, Any], versions: Sequence[str]
) -> Segmentation:
    """Builds a segmentation from one row of a signature's outputs."""
    columns = (contract.NAMES, contract.WNIDS, contract.SHARES)
    rows = zip(*(row[name] for name in columns), strict=True)
    segments = [
        Segment(number, name, wnid, short(share))
        for number, (name, wnid, share) in enumerate(rows)
        if share
    ]
    segments.sort(key=lambda s: -s.share)
    mask = row[contract.MASK]
    return Segmentation(row[contract.VALID], tuple(segments), mask, *versions)


def short(score: float) -> float:
    """Returns the shortest number for a float32: one over both transports."""
    return float(str(np.float32(score)))
