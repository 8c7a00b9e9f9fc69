"""What every reader yields: an image, where it lies, what is said of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from beam_jobs.records import Source


class ImageRef(NamedTuple):
    """Where the bytes of an image lie.

    Attributes:
        path: a file, of any file system that Beam knows.
        offset: first byte of the image within the file.
        length: number of bytes; -1 for the whole file, unlisted.
    """

    path: str
    offset: int = 0
    length: int = -1


class AnnotatedImage(NamedTuple):
    """Something that a source says of one image.

    Several may speak of the same image: one names its file, one its rotation,
    others its classes. They are joined by `image_id`.

    Attributes:
        image_id: `<kind of source>/<id>`, unique in the data set.
        source: who speaks.
        classes: class keys, a WordNet id (`n02084071`) or `<kind>:<name>` as
            the source spells it (`oi:/m/0bt9lr`, `coco:dog`).
        confidences: one a class; 0 is verified absent, else over 0 to 1.
        ref: where its bytes lie, if this source knows.
        rotation: degrees to turn it counter-clockwise to be upright, if this
            source knows.
    """

    image_id: str
    source: Source
    classes: tuple[str, ...] = ()
    confidences: tuple[float, ...] = ()
    ref: ImageRef | None = None
    rotation: int | None = None


class Reason(str, enum.Enum):
    """Why an input was rejected; the name of its dead-letter file."""

    # Images without, or with a bad, annotation.
    DUPLICATE_ID = "duplicate_id"
    MISSING_IMAGE = "missing_image"
    NO_ANNOTATION = "no_annotation"
    NO_LABEL_IN_VOCABULARY = "no_label_in_vocabulary"
    # Files and their content.
    UNREADABLE_FILE = "unreadable_file"
    UNREADABLE_ARCHIVE = "unreadable_archive"
    EMPTY_FILE = "empty_file"
    TOO_MANY_BYTES = "too_many_bytes"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_SMALL = "too_small"
    NOT_AN_IMAGE = "not_an_image"
    BROKEN_IMAGE = "broken_image"
    # Sound images, as far as this project can tell, but no tags.
    UNSUPPORTED_IMAGE = "unsupported_image"
    MODEL_FAILED = "model_failed"
    # Parts of annotation files; no image is counted for these.
    MALFORMED_ROW = "malformed_row"
    MALFORMED_RECORD = "malformed_record"
    # Downloads.
    BAD_URL = "bad_url"
    UNKNOWN_HOST = "unknown_host"
    CONNECTION_FAILED = "connection_failed"
    TIMEOUT = "timeout"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    CUT_OFF = "cut_off"
    WEB_PAGE = "web_page"
    PLACEHOLDER = "placeholder"


# Rejections of a row or record: they stand for no image of their own.
NOT_IMAGES = frozenset({Reason.MALFORMED_ROW, Reason.MALFORMED_RECORD})


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
