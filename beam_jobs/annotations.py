"""What every reader yields: where an image lies and what is said of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from beam_jobs.records import Source


@dataclass(frozen=True, order=True)
class ImageRef:
    """Where the bytes of an image lie.

    Attributes:
        path: a file, of any file system that Beam knows.
        offset: first byte of the image within the file.
        length: number of bytes.
    """

    path: str
    offset: int
    length: int


@dataclass(frozen=True, order=True)
class Annotation:
    """One statement about one image.

    Attributes:
        wnid: WordNet id of the class.
        confidence: 0 means verified absent; else 0 < confidence <= 1.
        source: who says so.
    """

    wnid: str
    confidence: float
    source: Source


class Reason(str, enum.Enum):
    """Why an input was rejected; the name of its dead-letter file."""

    DUPLICATE_ID = "duplicate_id"
    MISSING_IMAGE = "missing_image"
    NO_ANNOTATION = "no_annotation"
    NO_LABEL_IN_VOCABULARY = "no_label_in_vocabulary"
    UNREADABLE_FILE = "unreadable_file"
    UNREADABLE_ARCHIVE = "unreadable_archive"
    EMPTY_FILE = "empty_file"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    NOT_AN_IMAGE = "not_an_image"
    BROKEN_IMAGE = "broken_image"
    MALFORMED_ROW = "malformed_row"


@dataclass(frozen=True, order=True)
class Rejection:
    """One dead letter.

    Attributes:
        reason: its class.
        item: image id, or `file:line` of a row.
        detail: what exactly was found.
        path: the file it came from, or "".
    """

    reason: Reason
    item: str
    detail: str
    path: str = ""


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and all statements about it, before its bytes are read.

    Attributes:
        image_id: `<source>/<id>`.
        ref: where its bytes lie.
        annotations: sorted.
        rotation: degrees to turn it counter-clockwise to be upright.
    """

    image_id: str
    ref: ImageRef
    annotations: tuple[Annotation, ...]
    rotation: int = 0
