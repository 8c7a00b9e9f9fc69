"""Damaged records that a training passes over, up to a share of an epoch."""

from __future__ import annotations

import math
import sys
import threading
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model import workdir as workdir_

# Further ones are in the file alone.
_SAID = 10


class SkippedRecords:
    """Counts the places of each epoch whose record is damaged. For threads.

    Args:
        share: of an epoch's places that may be so; 0 for none.
        places: of an epoch, as far as this worker reads them.
        file: gets a line for each damaged record; what it holds stays.
    """

    def __init__(self, share: float, places: int, file: Path | None = None):
        self._allowed = math.ceil(share * places)
        self._file = file
        self._places: dict[int, set[int]] = {}
        self._lines = set(lines_of([file])) if file else set[str]()
        self._lock = threading.Lock()

    def add(self, epoch: int, place: int, error: InputError) -> None:
        """Notes that the record of a place is damaged.

        Raises:
            InputError: that is one too many.
        """
        with self._lock:
            places = self._places.setdefault(epoch, set())
            places.add(place)
            if len(places) > self._allowed:
                raise self._refusal(error) from error
            self._note(str(error))

    def _refusal(self, error: InputError) -> InputError:
        if not self._allowed:
            return error
        return InputError(
            f"{error}; it is one more than the {self._allowed} damaged records "
            "an epoch that data.skip_damaged allows"
        )

    def _note(self, line: str) -> None:
        if line in self._lines:
            return
        self._lines.add(line)
        if len(self._lines) <= _SAID:
            print(f"passed over: {line}", file=sys.stderr, flush=True)
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


def gather(workdir: Path) -> int:
    """Puts together what the workers of a training passed over, and says it.

    Returns:
        How many records.
    """
    files = sorted((workdir / workdir_.WORKERS).glob("damaged-*.txt"))
    lines = lines_of(files)
    if lines:
        path = workdir / workdir_.DAMAGED
        storage.write_text(path, "".join(f"{line}\n" for line in lines))
        print(f"{len(lines)} damaged records were passed over: {path}")
    return len(lines)


def lines_of(files: list[Path]) -> list[str]:
    """Returns the lines of those files that are there, each once, sorted."""
    texts = (f.read_text(encoding="utf-8") for f in files if f.exists())
    return sorted({line for text in texts for line in text.splitlines()})
