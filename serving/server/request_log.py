"""The request log: who asked what of which model, and what it answered.

A sample of all requests is written, in a thread of its own: a request leaves
what it was asked and answered in a bounded queue, and never waits. What finds
no room there, or on the disk, is counted and dropped.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from beam_jobs.files.tfrecords import framed
from serving.api import contract
from serving.api.request_log_options import JSONL, TFRECORD, RequestLogOptions
from serving.server.log_file import LogFile
from serving.traffic.log_format import (
    Arrays,
    image_rows,
    to_line,
    used,
    weights_of,
)
from serving.traffic.prediction_log import to_record

_log = logging.getLogger(__name__)

_MOST_WAITING = 1024  # requests
_MOST_WAITING_BYTES = 64 * 1024**2

_PAUSE_S = 0.1

WRITTEN, LEFT_OUT = "written", "left_out"
DROPPED, FAILED = "dropped", "failed"


Run = tuple[str, Arrays, Arrays, Collection[str]]


@dataclass
class Entry:
    """A request that is to be logged.

    Attributes:
        facts: see `log_format`.
        logs: that have drawn it.
        runs: of the model: signature, inputs, outputs, and the names of those
            that were answered, all if empty.
        bytes: of the runs, which stay in memory until they are logged.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    logs: tuple[RequestLog, ...] = ()
    runs: list[Run] = field(default_factory=list)
    bytes: int = 0

    def add_run(
        self,
        inputs: Arrays,
        outputs: Arrays,
        signature: str = "",
        wanted: Collection[str] = (),
    ) -> None:
        """Keeps what the logs need of a run of the model."""
        if not any(log.is_whole for log in self.logs):
            inputs, outputs = used(inputs), used(outputs)
        self.runs.append((signature, inputs, outputs, wanted))
        self.bytes += _size(inputs) + _size(outputs)

    def put(self) -> None:
        """Leaves it to its logs; never waits."""
        for log in self.logs:
            log.put(self)


def _to_lines(entry: Entry, options: RequestLogOptions) -> bytes:
    rows: list[dict[str, Any]] = []
    for _, inputs, outputs, _ in entry.runs:
        rows += image_rows(used(inputs), used(outputs), options.images)
    weights = [weights_of(outputs) for _, _, outputs, _ in entry.runs[:1]]
    facts = {"sample": options.sample, "weights": "".join(weights)}
    return to_line({**entry.facts, **facts}, rows)


def _to_records(entry: Entry, options: RequestLogOptions) -> bytes:
    facts = {**entry.facts, "sample": options.sample}
    records = (to_record(facts, *run, options.images) for run in entry.runs)
    return b"".join(map(framed, records))


_FORMS = {JSONL: _to_lines, TFRECORD: _to_records}


class RequestLog:
    """Writes a sample of the requests, beside them.

    Args:
        options: their file is not None.
        draw: a number from 0 to below 1 for each request.

    Attributes:
        counts: requests by what became of them, `written`, `left_out` (they
            failed, and the form has no place for that), `dropped` (no room)
            or `failed`; add up to those that were taken.
        is_closed: nothing is taken any more.
        is_whole: it needs all inputs and outputs of a run.

    Raises:
        InputError: the file cannot be written to.
    """

    def __init__(
        self,
        options: RequestLogOptions,
        draw: Callable[[], float] = random.random,
    ):
        self.counts: Counter[str] = Counter()
        self.is_closed = False
        self.is_whole = options.format == TFRECORD
        self._options = options
        self._draw = draw
        if options.file is None:
            raise ValueError("options.file must be a path; received: None")
        size = options.megabytes * 10**6
        self._file = LogFile(options.file, size, options.files, self.is_whole)
        self._waiting: deque[Entry] = deque()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._room = _MOST_WAITING
        self._bytes_room = _MOST_WAITING_BYTES
        self._drawn = 0
        self._is_retired = False
        self._is_told = False
        self._writer = threading.Thread(
            target=self._write_all, name="request log", daemon=True
        )
        self._writer.start()

    def takes(self) -> bool:
        """Draws whether the next request is of the sample; `put` follows."""
        if self._draw() >= self._options.sample:
            return False
        with self._lock:
            self._drawn += not self.is_closed
            return not self.is_closed

    def put(self, entry: Entry) -> None:
        """Leaves a request to be written; never waits."""
        with self._lock:
            self._drawn -= 1
            fits = self._room > 0 and entry.bytes <= self._bytes_room
            if not fits or self.is_closed:
                self.counts[DROPPED] += 1
                return
            self._room -= 1
            self._bytes_room -= entry.bytes
            self._waiting.append(entry)

    def go_on(self, options: RequestLogOptions) -> bool:
        """Takes requests as these options say; False if it is closed.

        Args:
            options: of the same file.
        """
        with self._lock:
            self._is_retired = False
            self._options = options
            return not self.is_closed

    def retire(self) -> None:
        """Closes the file once those that were drawn are written."""
        with self._lock:
            self._is_retired = True

    def close(self) -> None:
        """Writes what waits, and closes the file; later ones are dropped."""
        with self._lock:
            self.is_closed = True
        self._closing.set()
        self._writer.join()

    def _write_all(self) -> None:
        is_last = False
        while not is_last:
            # Woken by each request, it would take a turn from one each time.
            self._closing.wait(_PAUSE_S)
            is_last = self._is_over()
            while self._waiting:
                self._write_next()
        self._file.close()

    def _is_over(self) -> bool:
        with self._lock:
            self.is_closed |= self._is_retired and self._drawn <= 0
            return self.is_closed

    def _write_next(self) -> None:
        entry = self._waiting.popleft()
        result = self._write(entry)
        with self._lock:
            self.counts[result] += 1
            self._room += 1
            self._bytes_room += entry.bytes

    def _write(self, entry: Entry) -> str:
        try:
            data = _FORMS[self._options.format](entry, self._options)
            if not data:
                return LEFT_OUT
            self._file.write(data)
        except Exception as error:
            # Once: a full disk would fill the terminal, too.
            if not self._is_told:
                _log.warning("the request log misses requests: %s", error)
            self._is_told = True
            return FAILED
        return WRITTEN


def _size(arrays: Arrays) -> int:
    images = arrays.get(contract.IMAGE_BYTES)
    files = [] if images is None else images.reshape(-1).tolist()
    # Another model's objects need not be bytes, and no request may fail here.
    held = sum(len(file) for file in files if isinstance(file, bytes))
    # Names are short: of them the pointers are a good part.
    return held + sum(array.nbytes for array in arrays.values())
