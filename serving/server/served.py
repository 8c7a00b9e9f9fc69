"""The request that a thread answers, and what it turned out to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from serving.server.batch_tasks import Task
from serving.server.request_log import Entry

Headers = Iterable[tuple[str, str]]


class Served:
    """What a request turned out to be; filled in while it is answered.

    Attributes:
        version: that answered; 0 for none.
        signature: of the model; empty for none.
        began: when it came to the model and its queue, on the clock of
            `time.perf_counter`; None if it did not.
        runtime_s: seconds in the model and its queue.
        queue_s: seconds in the queue; None for none.
        batch_rows: of the batch that it was run in; 0 for none.
        batches: rows of those that its thread has run, for others too.
        examples: `tf.Example`s of Classify and the like.
        entry: of the request log; None for a request that is not logged.
    """

    def __init__(self, entry: Entry | None = None) -> None:
        self.entry = entry
        self.version = 0
        self.signature = ""
        self.began: float | None = None
        self.runtime_s = 0.0
        self.queue_s: float | None = None
        self.batch_rows = 0
        self.batches: list[int] = []
        self.examples = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Times what runs inside as the model's work."""
        start = time.perf_counter()
        if self.began is None:
            self.began = start
        try:
            yield
        finally:
            self.runtime_s += time.perf_counter() - start

    def note_queue(self, task: Task) -> None:
        """Notes how long it waited, and with how many rows it was run."""
        until = time.perf_counter() if task.ran is None else task.ran
        self.queue_s = (self.queue_s or 0) + until - task.came
        self.batch_rows = max(self.batch_rows, task.batch_rows)


# Each thread has its own, so no call has to hand it through.
serving: ContextVar[Served] = ContextVar("serving")
# What gives the request's headers, for `Traces`; none unless a server sets it.
headers: ContextVar[Callable[[], Headers]] = ContextVar(
    "headers", default=tuple
)


def current() -> Served:
    """Returns the request that this thread answers; a new one if none is."""
    return serving.get(None) or Served()
