"""Rejected inputs: kept by every stage, put together when the job ends."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from beam_jobs.files import storage


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
    # Boxes or a mask of another image than there is.
    OTHER_SIZE = "other_size"
    # One of its objects has no sound box.
    BAD_BOX = "bad_box"
    # Sound images, as far as this project can tell, but no tags.
    UNSUPPORTED_IMAGE = "unsupported_image"
    MODEL_FAILED = "model_failed"
    # Tagged, but the file that its tags belong into is left as it is.
    BAD_SIDECAR = "bad_sidecar"
    # Parts of annotation files; no image is counted for these.
    MALFORMED_ROW = "malformed_row"
    MALFORMED_RECORD = "malformed_record"
    # A whole file of annotations: the job ends.
    UNREADABLE_SOURCE = "unreadable_source"
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
    OPTED_OUT = "opted_out"


DEAD_LETTERS = "dead_letters"
# Rejections of a row or record: they stand for no image of their own.
NOT_IMAGES = frozenset(
    {
        Reason.MALFORMED_ROW,
        Reason.MALFORMED_RECORD,
        Reason.UNREADABLE_SOURCE,
    }
)


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


class UnbalancedError(RuntimeError):
    """in = out + rejected does not hold: a defect of the job."""


def save_rejections(
    path: str, rejections: Iterable[Rejection]
) -> dict[str, int]:
    """Writes the rejections of one part; returns counts by reason."""
    lines, counts = [], Counter[str]()
    for rejection in sorted(rejections):
        counts[rejection.reason.value] += 1
        lines.append(_to_line(rejection))
    if lines:
        storage.write_text(path, "".join(lines))
    return dict(counts)


def publish_dead_letters(dataset: str, paths: Iterable[str]) -> None:
    """Writes `dead_letters/<reason>.jsonl`, sorted, from files of all stages.

    Args:
        dataset: folder of the data set.
        paths: what `save_rejections` wrote.
    """
    lines: dict[str, list[str]] = {}
    for path in paths:
        for line in storage.read_text(path).splitlines(keepends=True):
            lines.setdefault(json.loads(line)["reason"], []).append(line)
    for reason, letters in lines.items():
        storage.write_text(
            storage.join(dataset, DEAD_LETTERS, f"{reason}.jsonl"),
            "".join(sorted(letters)),
        )


def count_images(rejected: Mapping[str, int]) -> int:
    """Returns how many of the rejections stand for an image."""
    others = {reason.value for reason in NOT_IMAGES}
    return sum(n for reason, n in rejected.items() if reason not in others)


def _to_line(rejection: Rejection) -> str:
    fields = {
        "item": rejection.item,
        "reason": rejection.reason.value,
        "detail": rejection.detail,
        "path": rejection.path,
    }
    return json.dumps(fields) + "\n"
