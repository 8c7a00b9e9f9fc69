"""A request log -> counts; each line or record counts, or has a reason."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from beam_jobs.errors import InputError
from beam_jobs.files import tfrecords
from serving.api import contract
from serving.drift.options import WindowOptions
from serving.traffic.log_format import MOST_CLASSES, TYPE, rotated
from serving.traffic.prediction_log import to_facts
from serving.traffic.tallies import Tally

_MOST_LINE = 2 * contract.MAX_REQUEST_BYTES
_TOO_LONG = b"too long"
_UNREAD = ("too_long", "not_json", "malformed")
_MOST_FILES = 1000
_NUMBERS = ("bytes", "height", "width", "brightness", "contrast")


@dataclass
class ReadLog:
    """What was read.

    Attributes:
        tally: of the lines that counted.
        lines: that were read, but for empty ones.
        used: of them.
        rejected: of them, by reason; they add up with `used` to `lines`.
        first, last: seconds since 1970 of the first and last that counted.
    """

    tally: Tally
    lines: int = 0
    used: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    first: float = math.inf
    last: float = -math.inf

    def add(self, line: Mapping[str, Any]) -> None:
        """Counts the images of a request."""
        self.used += 1
        self.first = min(self.first, line["time"])
        self.last = max(self.last, line["time"])
        for row in line["images"]:
            self.tally.add(row)


@dataclass(frozen=True)
class Served:
    """Which answers count; None or "" for all.

    Attributes:
        version: number of the model's version.
        weights: fingerprint.
    """

    version: int | None = None
    weights: str = ""


def log_files(path: Path) -> list[Path]:
    """Returns a log's files, the oldest first: FILE.2, FILE.1, FILE.

    Raises:
        InputError: there is none.
    """
    names = (rotated(path, number) for number in range(_MOST_FILES))
    files = [name for name in names if name.is_file()]
    if not files:
        raise InputError(
            f"no request log {path}; `tagforest serve --request-log {path}` "
            "writes one"
        )
    return files[::-1]


def read_log(
    path: Path,
    tally: Tally,
    window: WindowOptions | None = None,
    served: Served | None = None,
) -> ReadLog:
    """Counts what a request log says.

    Args:
        path: of the log; what was rotated lies beside it.
        tally: is added to.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    window, served = window or WindowOptions(), served or Served()
    found = ReadLog(tally)
    # Requests, not lines: those that count are not known before they are read.
    latest: deque[Mapping[str, Any]] = deque(maxlen=window.last)
    for raw in _lines(log_files(path)):
        found.lines += 1
        line, reason = _parse(raw, tally, window, served)
        if reason:
            found.rejected[reason] += 1
        elif window.last is None:
            found.add(line)
        else:
            found.rejected["before_the_latest"] += len(latest) == window.last
            latest.append(line)
    for line in latest:
        found.add(line)
    # Else a reason that nothing has would be shown.
    found.rejected = +found.rejected
    return found


def _lines(files: Iterable[Path]) -> Iterator[Any]:
    """Yields what each line or record says, or why it says nothing."""
    for path in files:
        try:
            with path.open("rb") as file:
                head = file.read(tfrecords.HEADER.size)
                file.seek(0)
                if tfrecords.length_of(head) is None:
                    yield from map(_from_json, _json_lines(file))
                else:
                    records = tfrecords.read_framed(file, _MOST_LINE)
                    yield from map(_from_record, records)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from error


def _json_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yields the lines that are not empty; `_TOO_LONG` for a longer one."""
    while line := file.readline(_MOST_LINE):
        if len(line) == _MOST_LINE and line[-1:] != b"\n":
            _skip_rest(file)
            line = _TOO_LONG
        if line.strip():
            yield line


def _from_json(raw: bytes) -> Any:
    if raw is _TOO_LONG:
        return "too_long"
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return "not_json"


def _from_record(data: bytes | None) -> Any:
    found = None if data is None else to_facts(data)
    return "malformed" if found is None else found


def _skip_rest(file: BinaryIO) -> None:
    while (rest := file.readline(_MOST_LINE)) and rest[-1:] != b"\n":
        pass


def _parse(
    line: Any, tally: Tally, window: WindowOptions, served: Served
) -> tuple[Mapping[str, Any], str]:
    """Returns a line, and why it does not count, or ""."""
    if line in _UNREAD:
        return {}, line
    if not isinstance(line, dict) or line.get("type") != TYPE:
        return {}, "other_type"
    return line, _why_not(line, tally, window, served)


def _why_not(
    line: Mapping[str, Any],
    tally: Tally,
    window: WindowOptions,
    served: Served,
) -> str:
    if not _is_number(line.get("time")):
        return "malformed"
    if not window.holds(line["time"]):
        return "outside_the_window"
    if served.version not in (None, line.get("version")):
        return "other_version"
    if served.weights and line.get("weights", "") != served.weights:
        return "other_model"
    if line.get("status") != "OK":
        return "failed"
    if line.get("signature") != contract.TAGS:
        return "other_signature"
    images = line.get("images")
    if not isinstance(images, list) or not images:
        return "no_images"
    if not all(map(_is_row, images)):
        return "malformed"
    return "" if all(map(tally.knows, images)) else "other_classes"


def _is_row(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("valid"), bool):
        return False
    wnids, scores, is_tag = (
        row.get(name)
        for name in (contract.WNIDS, contract.SCORE_VALUES, contract.IS_TAG)
    )
    if not isinstance(wnids, list) or not isinstance(scores, list):
        return False
    if not isinstance(is_tag, list):
        return False
    known = [row[name] for name in _NUMBERS if name in row]
    return (
        len(wnids) == len(scores) == len(is_tag) <= MOST_CLASSES
        and all(isinstance(w, str) for w in wnids)
        and len({*wnids}) == len(wnids)
        and all(map(_is_number, scores))
        and all(isinstance(t, bool) for t in is_tag)
        and all(_is_number(n) and n >= 0 for n in known)
        # Of light either both are known or none is; sizes belong together.
        and ("brightness" in row) == ("contrast" in row)
        and ("height" not in row or "bytes" in row)
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
