"""Concurrent requests -> one call of the model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from grpc import StatusCode

from serving.api.errors import RequestError, from_exception
from serving.api.server_options import BatchingOptions
from serving.server import batch_tasks, served
from serving.server.adaptive_wait import AdaptiveWait
from serving.server.batch_tasks import Arrays, Task

Run = Callable[..., dict[str, np.ndarray]]


class Batcher:
    """Queues requests of one signature and runs them together.

    There is no thread of its own: a request that finds the model free runs
    the next batch in its own thread, with whatever else waits, and then hands
    over to a request that still waits. So a single request costs no change
    of threads.

    A batch that fails is run again request by request, so that only those
    that are at fault get the error.

    Args:
        run: the model: arrays with equal dimension 0 -> the same. Where
            requests are not joined, it is also given their deadline.
        joins: False where it is not known that each row is answered for
            itself: then every request is a call of its own, whatever its
            shapes, and only waits for its turn.
    """

    def __init__(
        self,
        run: Run,
        options: BatchingOptions | None = None,
        *,
        joins: bool = True,
    ):
        self._run = run
        self._options = options or BatchingOptions()
        self._joins = joins
        self._most_leaders = (
            self._options.parallel_batches
            if joins
            else self._options.parallel_runs
        )
        self._wait = AdaptiveWait()
        self._waiting: deque[Task] = deque()
        self._queued_rows = 0
        self._leaders = 0
        self._changed = threading.Condition()
        self._closed = False

    def submit(
        self,
        inputs: Arrays,
        deadline: float = float("inf"),
        cancelled: threading.Event | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs a request, possibly with others, and waits for its rows.

        Args:
            inputs: arrays with equal dimension 0.
            deadline: on the clock of `time.monotonic`.
            cancelled: once set, the request is not run any more.

        Raises:
            RequestError: UNAVAILABLE (queue full, closing),
                RESOURCE_EXHAUSTED (the deadline passed in the queue),
                DEADLINE_EXCEEDED (while it ran), CANCELLED, INVALID_ARGUMENT
                (unequal dimension 0), or what the model raised.
        """
        rows = batch_tasks.rows_of(inputs) if self._joins else 1
        task = Task(inputs, rows, deadline, cancelled)
        self._enqueue(task)
        try:
            while True:
                # Woken to lead, it runs batches, and its own rows with them.
                if task.leads:
                    self._lead(task)
                if task.is_done:
                    return task.result()
                if not self._wait_for(task):
                    raise self._late(task)
        finally:
            served.current().note_queue(task)

    def close(self) -> None:
        """Runs what is queued, then stops; later requests are refused."""
        with self._changed:
            # A leader that waits for company goes on at once.
            self._closed = True
            self._changed.notify_all()
            while self._waiting or self._leaders:
                self._changed.wait()

    def _enqueue(self, task: Task) -> None:
        with self._changed:
            self._admit(task)
            self._waiting.append(task)
            self._queued_rows += task.rows
            self._wait.note_request()
            if self._leaders < self._most_leaders:
                self._leaders += 1
                task.leads = True
            # A leader may wait for company.
            self._changed.notify_all()

    def _admit(self, task: Task) -> None:
        if self._closed:
            raise RequestError(StatusCode.UNAVAILABLE, "shutting down")
        limit = self._options.max_queued_rows
        # An empty queue takes any request: a large one could never run else.
        if self._waiting and self._queued_rows + task.rows > limit:
            raise RequestError(
                StatusCode.UNAVAILABLE,
                "The batch scheduling queue to which this task was submitted "
                f"is full; currently {self._queued_rows} rows enqueued and "
                f"the limit is {limit}",
            )

    def _wait_for(self, task: Task) -> bool:
        """Returns whether the task is done or leads before its deadline."""
        left = None
        if task.deadline != float("inf"):
            left = max(0.0, task.deadline - time.monotonic())
        return task.woken.wait(left)

    def _late(self, task: Task) -> RequestError:
        with self._changed:
            queued = task in self._waiting
            if queued:
                self._waiting.remove(task)
                self._queued_rows -= task.rows
            if task.leads:
                # Made the leader just now: somebody else has to be.
                self._hand_over()
        if queued:
            return self._expired()
        # Its batch runs on: an answer for nobody, but for the others in it.
        return RequestError(
            StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded while running"
        )

    def _lead(self, own: Task) -> None:
        """Runs batches until the own request is answered, or taken."""
        # Before the first batch, whose answer sets it again.
        own.woken.clear()
        try:
            while not own.is_done and (batch := self._next_batch()):
                live = [t for t in batch if not self._refused(t)]
                if live:
                    rows = batch_tasks.note_run(live)
                    served.current().batches.append(rows)
                    self._answer(live)
        finally:
            with self._changed:
                own.leads = False
                self._hand_over()

    def _hand_over(self) -> None:
        # Those that lead are about to run: with parallel batches, several.
        waiting = (t for t in self._waiting if not t.leads)
        follower = next(waiting, None)
        if follower is None:
            self._leaders -= 1
        else:
            follower.leads = True
            follower.woken.set()
        self._changed.notify_all()

    def _next_batch(self) -> list[Task]:
        with self._changed:
            self._wait_for_company()
            batch: list[Task] = []
            while self._waiting and self._fits(batch, self._waiting[0]):
                batch.append(self._waiting.popleft())
            self._queued_rows -= sum(task.rows for task in batch)
            return batch

    def _wait_for_company(self) -> None:
        end = time.monotonic() + self._options.longest_wait_s
        while (
            self._joins
            and not self._closed
            and self._queued_rows < self._options.max_batch_size
            and (left := end - time.monotonic()) > 0
        ):
            if self._options.adaptive:
                left = min(left, self._wait.seconds(self._queued_rows))
                # Nobody came while waiting was worth it.
                if not self._changed.wait(left):
                    return
            else:
                self._changed.wait(left)

    def _fits(self, batch: Sequence[Task], task: Task) -> bool:
        if not batch:
            return True  # Whatever its size: it is run in parts.
        if not self._joins:
            return False
        rows = task.rows + sum(t.rows for t in batch)
        same = task.shapes == batch[0].shapes
        return same and rows <= self._options.max_batch_size

    def _answer(self, batch: Sequence[Task]) -> None:
        try:
            outputs = self._run_batch(batch)
        except Exception as error:
            self._answer_failed(batch, error)
        else:
            self._share_out(batch, outputs)

    def _share_out(
        self, batch: Sequence[Task], outputs: dict[str, np.ndarray]
    ) -> None:
        if self._joins:
            batch_tasks.share_out(batch, outputs)
        else:
            batch[0].answer(outputs)

    def _answer_failed(self, batch: Sequence[Task], error: Exception) -> None:
        if len(batch) == 1:
            batch[0].fail(from_exception(error))
            return
        for task in batch:
            self._answer([task])

    def _run_batch(self, batch: Sequence[Task]) -> dict[str, np.ndarray]:
        if self._joins:
            return self._run_in_parts(batch_tasks.join(batch))
        # Anybody's graph may run without end; that of our exports does not.
        return self._run(batch[0].inputs, batch[0].deadline)

    def _run_in_parts(self, inputs: Arrays) -> dict[str, np.ndarray]:
        size = self._options.max_batch_size
        count = batch_tasks.rows_of(inputs)
        # No rows are a call as well: the graph knows the shape of nothing.
        parts = [
            self._run_checked({k: v[i : i + size] for k, v in inputs.items()})
            for i in range(0, max(count, 1), size)
        ]
        if len(parts) == 1:
            return parts[0]
        return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}

    def _run_checked(self, inputs: Arrays) -> dict[str, np.ndarray]:
        rows = batch_tasks.rows_of(inputs)
        count = self._options.filled_up(rows)
        start = time.monotonic()
        outputs = self._run(batch_tasks.padded(inputs, count))
        with self._changed:
            self._wait.note_call(count, time.monotonic() - start)
        for name, array in outputs.items():
            if array.ndim == 0 or len(array) != count:
                raise RequestError(
                    StatusCode.FAILED_PRECONDITION,
                    f"output {name} has shape {array.shape}; dimension 0 "
                    f"must be the batch size, {count}",
                )
        return {name: array[:rows] for name, array in outputs.items()}

    def _refused(self, task: Task) -> bool:
        """Answers a request that nobody waits for, without running it."""
        if task.is_given_up:
            task.fail(RequestError(StatusCode.CANCELLED, "CANCELLED"))
        elif time.monotonic() > task.deadline:
            task.fail(self._expired())
        return task.is_done

    def _expired(self) -> RequestError:
        if self._joins:
            code, where = StatusCode.RESOURCE_EXHAUSTED, " in batching queue"
        else:
            code, where = StatusCode.DEADLINE_EXCEEDED, ""
        return RequestError(
            code, f"Run() timeout exceeded while waiting{where}"
        )
