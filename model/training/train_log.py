"""What a training says, kept in its folder as well (no TensorFlow here)."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from beam_jobs.errors import InputError
from model.workdir import LOG


@contextlib.contextmanager
def keeping_log(workdir: Path) -> Iterator[None]:
    """Appends what is printed, and what a failure says, to the log.

    Each line has the time before it, UTC.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / LOG).open("a", encoding="utf-8", buffering=1) as file:
        both = _Both(sys.stdout, file)
        try:
            with contextlib.redirect_stdout(both):
                yield
        except InputError as error:
            # The disk may be full that is to take it.
            with contextlib.suppress(OSError):
                both.note(f"{error}\n")
            raise


class _Both(io.TextIOBase):
    """A stream whose whole lines go to a log, too."""

    def __init__(self, shown: TextIO, log: TextIO):
        self._shown, self._log = shown, log
        self._begun = ""

    def write(self, text: str) -> int:
        self._shown.write(text)
        self.note(text)
        return len(text)

    def note(self, text: str) -> None:
        # Libraries keep the stream they have met.
        if self._log.closed:
            return
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self._log.write(f"{now} {line}\n")

    @property
    def closed(self) -> bool:
        return self._shown.closed

    def flush(self) -> None:
        self._shown.flush()

    def isatty(self) -> bool:
        return self._shown.isatty()
