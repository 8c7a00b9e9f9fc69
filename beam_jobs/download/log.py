"""The log of a folder of downloads: one line for each finished item.

`log/run-<number>-<worker>.jsonl` only ever grows, one file a worker, so any
number of workers may write at a time. A line that was cut off, when the job
was killed, does not count: its item was not finished.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from beam_jobs.files import text_files
from beam_jobs.files.folder_lock import hold
from beam_jobs.rejections import Reason

OK = "ok"
LOG = "log"
IMAGES = "images"
_NAME = re.compile(r"run-(\d+)-")
# Every class of failure that an item of a download can have.
REASONS = (
    Reason.BAD_URL,
    Reason.UNKNOWN_HOST,
    Reason.CONNECTION_FAILED,
    Reason.TIMEOUT,
    Reason.NOT_FOUND,
    Reason.REFUSED,
    Reason.RATE_LIMITED,
    Reason.SERVER_ERROR,
    Reason.TOO_MANY_REDIRECTS,
    Reason.CUT_OFF,
    Reason.WEB_PAGE,
    Reason.PLACEHOLDER,
    Reason.OPTED_OUT,
    Reason.EMPTY_FILE,
    Reason.TOO_MANY_BYTES,
    Reason.TOO_MANY_PIXELS,
    Reason.TOO_SMALL,
    Reason.NOT_AN_IMAGE,
    Reason.BROKEN_IMAGE,
)


class Outcome(NamedTuple):
    """What became of a URL.

    Attributes:
        url: as the list spells it.
        status: `OK` or the value of a Reason.
        detail: what exactly was found, if it failed.
        bytes: size of the image's file.
        sha256: of its content, hex.
        width, height: pixels, upright.
        content_type: as the server said.
        attempts: requests made, redirects not counted; 0 for an image that
            was found complete after the job was killed.
        seconds: that the requests took, waiting between them not counted.
    """

    url: str
    status: str
    detail: str = ""
    bytes: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    content_type: str = ""
    attempts: int = 0
    seconds: float = 0.0


class Log:
    """A worker's own file; a line is on its way to the disk when it returns.

    Args:
        out: folder of the downloads.
        run: number of the job's run.
        worker: part of the file's name.
    """

    def __init__(self, out: str, run: int, worker: str):
        name = f"run-{run:06d}-{worker}-{secrets.token_hex(4)}.jsonl"
        folder = os.path.join(out, LOG)
        os.makedirs(folder, exist_ok=True)
        self._file = open(os.path.join(folder, name), "ab")
        hold(self._file)

    def write(self, outcome: Outcome) -> None:
        """Appends one item."""
        line = json.dumps(outcome._asdict()) + "\n"
        self._file.write(line.encode())
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def log_files(out: str, run: int | None = None, worker: str = "") -> list[str]:
    """Returns the log files, those of one run and worker if given, sorted."""
    folder = os.path.join(out, LOG)
    if not os.path.isdir(folder):
        return []
    start = "run-" if run is None else f"run-{run:06d}-{worker}"
    return [
        os.path.join(folder, name)
        for name in sorted(os.listdir(folder))
        if name.startswith(start) and _NAME.match(name)
    ]


def run_number(path: str) -> int:
    """Returns the run that a log file is of."""
    found = _NAME.match(os.path.basename(path))
    return int(found.group(1)) if found else 0


def read_log(path: str, start: int = 0, end: int = -1) -> Iterator[Outcome]:
    """Yields the items of the lines that begin in [start, end)."""
    for line in text_files.read_lines(path, start, end):
        if isinstance(line, str):
            outcome = _parsed(line)
            if outcome is not None:
                yield outcome


def _parsed(line: str) -> Outcome | None:
    try:
        outcome = Outcome(**json.loads(line))
    except (ValueError, TypeError):
        return None
    return outcome if isinstance(outcome.url, str) else None
