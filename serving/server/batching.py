"""Concurrent requests -> one call of the model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field

import numpy as np
from grpc import StatusCode

from beam_jobs.errors import InputError
from serving.errors import RequestError, from_exception

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], dict[str, np.ndarray]]


@dataclass(frozen=True)
class BatchingOptions:
    """When requests are put together.

    Attributes:
        max_batch_size: rows in one call of the model. A larger request is
            run in parts.
        timeout_s: how long a batch that is not full waits for company. With
            0 a batch is what came in while the model was busy.
        max_queued_rows: rows that wait at most; beyond, UNAVAILABLE.
    """

    max_batch_size: int = 32
    timeout_s: float = 0.0
    max_queued_rows: int = 1024

    def __post_init__(self):
        if self.max_batch_size < 1 or self.max_queued_rows < 1:
            raise InputError(
                "max_batch_size and max_queued_rows must be 1 or more; "
                f"received: {self.max_batch_size}, {self.max_queued_rows}"
            )
        if not 0 <= self.timeout_s <= 60:
            raise InputError(
                f"timeout_s must be 0 to 60; received: {self.timeout_s}"
            )


@dataclass(frozen=True)
class _Task:
    inputs: Arrays
    rows: int
    deadline: float
    answer: Future = field(default_factory=Future)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: a.shape[1:] for name, a in self.inputs.items()}


class Batcher:
    """Queues requests of one signature and runs them together.

    A batch that fails is run again request by request, so that only those
    that are at fault get the error.

    Args:
        run: the model: arrays with equal dimension 0 -> the same.
        options: sizes and waiting.
    """

    def __init__(self, run: Run, options: BatchingOptions | None = None):
        self._run = run
        self._options = options or BatchingOptions()
        self._waiting: deque[_Task] = deque()
        self._queued_rows = 0
        self._changed = threading.Condition()
        self._closed = False
        self._worker = threading.Thread(target=self._work, daemon=True)
        self._worker.start()

    def submit(
        self, inputs: Arrays, deadline: float = float("inf")
    ) -> dict[str, np.ndarray]:
        """Runs a request, possibly with others, and waits for its rows.

        Args:
            inputs: arrays with equal dimension 0.
            deadline: on the clock of `time.monotonic`.

        Raises:
            RequestError: UNAVAILABLE (queue full, closing),
                DEADLINE_EXCEEDED, INVALID_ARGUMENT (unequal dimension 0), or
                what the model raised.
        """
        task = _Task(inputs, _rows_of(inputs), deadline)
        with self._changed:
            self._admit(task)
            self._waiting.append(task)
            self._queued_rows += task.rows
            self._changed.notify_all()
        try:
            return task.answer.result(_seconds_until(deadline))
        except FutureTimeout:  # another class than TimeoutError before 3.11
            raise _deadline_exceeded() from None

    def close(self) -> None:
        """Runs what is queued, then stops; later requests are refused."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._worker.join()

    def _admit(self, task: _Task) -> None:
        if self._closed:
            raise RequestError(StatusCode.UNAVAILABLE, "shutting down")
        limit = self._options.max_queued_rows
        if self._waiting and self._queued_rows + task.rows > limit:
            raise RequestError(
                StatusCode.UNAVAILABLE,
                "The batch scheduling queue is full; currently "
                f"{self._queued_rows} rows enqueued and the limit is {limit}",
            )

    def _work(self) -> None:
        while batch := self._next_batch():
            live = [t for t in batch if not _refuse_if_late(t)]
            if live:
                self._answer(live)

    def _next_batch(self) -> list[_Task]:
        """Waits for requests; returns none only when closed and empty."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            self._wait_for_company()
            batch: list[_Task] = []
            while self._waiting and self._fits(batch, self._waiting[0]):
                batch.append(self._waiting.popleft())
            self._queued_rows -= sum(task.rows for task in batch)
            return batch

    def _wait_for_company(self) -> None:
        end = time.monotonic() + self._options.timeout_s
        while (
            not self._closed
            and self._queued_rows < self._options.max_batch_size
            and (left := end - time.monotonic()) > 0
        ):
            self._changed.wait(left)

    def _fits(self, batch: Sequence[_Task], task: _Task) -> bool:
        if not batch:
            return True
        rows = task.rows + sum(t.rows for t in batch)
        same = task.shapes == batch[0].shapes
        return same and rows <= self._options.max_batch_size

    def _answer(self, batch: Sequence[_Task]) -> None:
        try:
            outputs = self._run_in_parts(_join(batch))
        except Exception as error:
            self._answer_failed(batch, error)
            return
        start = 0
        for task in batch:
            rows = slice(start, start + task.rows)
            task.answer.set_result({k: v[rows] for k, v in outputs.items()})
            start += task.rows

    def _answer_failed(self, batch: Sequence[_Task], error: Exception) -> None:
        if len(batch) == 1:
            batch[0].answer.set_exception(from_exception(error))
            return
        for task in batch:
            self._answer([task])

    def _run_in_parts(self, inputs: Arrays) -> dict[str, np.ndarray]:
        size = self._options.max_batch_size
        count = _rows_of(inputs)
        parts = [
            self._run_checked({k: v[i : i + size] for k, v in inputs.items()})
            for i in range(0, max(count, 1), size)
        ]
        if len(parts) == 1:
            return parts[0]
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    def _run_checked(self, inputs: Arrays) -> dict[str, np.ndarray]:
        outputs = self._run(inputs)
        count = _rows_of(inputs)
        for name, array in outputs.items():
            if array.ndim == 0 or len(array) != count:
                raise RequestError(
                    StatusCode.FAILED_PRECONDITION,
                    f"output {name} has shape {array.shape}; dimension 0 "
                    f"must be the batch size, {count}",
                )
        return outputs


def _rows_of(inputs: Arrays) -> int:
    sizes = {a.shape[0] if a.ndim else -1 for a in inputs.values()}
    if len(sizes) != 1 or -1 in sizes:
        raise RequestError(
            StatusCode.INVALID_ARGUMENT,
            "every input needs the same size in dimension 0; received: "
            f"{ {k: v.shape for k, v in inputs.items()} }",
        )
    return sizes.pop()


def _join(batch: Sequence[_Task]) -> Arrays:
    if len(batch) == 1:
        return batch[0].inputs
    names = batch[0].inputs
    return {n: np.concatenate([t.inputs[n] for t in batch]) for n in names}


def _seconds_until(deadline: float) -> float | None:
    if deadline == float("inf"):
        return None
    return max(0.0, deadline - time.monotonic())


def _refuse_if_late(task: _Task) -> bool:
    if time.monotonic() <= task.deadline:
        return False
    task.answer.set_exception(_deadline_exceeded())
    return True


def _deadline_exceeded() -> RequestError:
    return RequestError(StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded")
