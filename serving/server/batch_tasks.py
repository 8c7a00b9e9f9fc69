"""Requests in a queue, and the batches that are made of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from grpc import StatusCode

from serving.api.errors import RequestError, invalid_argument

Arrays = Mapping[str, np.ndarray]


@dataclass(eq=False)
class Task:
    """A request that waits for its rows.

    Attributes:
        inputs: arrays with equal dimension 0.
        rows: that size.
        deadline: on the clock of `time.monotonic`.
        cancelled: set by whoever gives the request up.
        woken: set when it is answered, or shall run the next batch.
        leads: it shall run the next batches, until it is answered.
        came, ran: when it was queued, and when its batch was run, on the clock
            of `time.perf_counter`.
        batch_rows: of all requests in that batch.
        outputs: its rows of the answer.
        error: what it gets instead.
    """

    inputs: Arrays
    rows: int
    deadline: float = float("inf")
    cancelled: threading.Event | None = None
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    came: float = field(default_factory=time.perf_counter)
    ran: float | None = None
    batch_rows: int = 0
    outputs: dict[str, np.ndarray] | None = None
    error: RequestError | None = None

    @property
    def is_done(self) -> bool:
        """Whether there is an answer."""
        return self.outputs is not None or self.error is not None

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.cancelled is not None and self.cancelled.is_set()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of one row: only equal ones can share a batch."""
        return {name: a.shape[1:] for name, a in self.inputs.items()}

    def answer(self, outputs: dict[str, np.ndarray]) -> None:
        """Gives it its rows."""
        self.outputs = outputs
        self.woken.set()

    def fail(self, error: RequestError) -> None:
        """Gives it an error."""
        self.error = error
        self.woken.set()

    def result(self) -> dict[str, np.ndarray]:
        """Returns the rows, or raises the error."""
        if self.error is not None:
            raise self.error
        if self.outputs is None:
            raise RequestError(StatusCode.INTERNAL, "a request was not run")
        return self.outputs


def note_run(tasks: Sequence[Task]) -> int:
    """Notes that a batch of these is run now; returns its rows."""
    rows, now = sum(task.rows for task in tasks), time.perf_counter()
    for task in tasks:
        task.ran, task.batch_rows = now, rows
    return rows


def rows_of(inputs: Arrays) -> int:
    """Returns the size of dimension 0, which all inputs must share.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    sizes = {a.shape[0] if a.ndim else -1 for a in inputs.values()}
    if len(sizes) != 1 or -1 in sizes:
        raise invalid_argument(
            "every input needs the same size in dimension 0; received: "
            f"{ {k: v.shape for k, v in inputs.items()} }"
        )
    return sizes.pop()


def join(tasks: Sequence[Task]) -> Arrays:
    """Returns the inputs of all tasks, one after the other."""
    if len(tasks) == 1:
        return tasks[0].inputs
    names = tasks[0].inputs
    return {n: np.concatenate([t.inputs[n] for t in tasks]) for n in names}


def share_out(tasks: Sequence[Task], outputs: Mapping[str, np.ndarray]) -> None:
    """Gives each task its rows of a batch's answer."""
    start = 0
    for task in tasks:
        rows = slice(start, start + task.rows)
        task.answer({name: array[rows] for name, array in outputs.items()})
        start += task.rows


def padded(inputs: Arrays, rows: int) -> Arrays:
    """Repeats the first row at the end until there are so many."""
    missing = rows - rows_of(inputs)
    if missing <= 0:
        return inputs
    # A row that was sent is sound; zeros may be no input of the model.
    return {
        name: np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
        for name, array in inputs.items()
    }
