"""Work that threads do ahead of who takes its results, in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class ReadAhead(Generic[R]):
    """Iterates over `function(item)`, in the order of the items, once.

    What the items or the function raise comes in its place, and ends it. All
    threads end with it, also when a loop over it is left.

    Args:
        function: called by threads.
        items: taken one by one, in a thread of its own.
        threads: at most.
        ahead: results that wait, or are worked on, before the next is taken.
    """

    def __init__(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        threads: int,
        ahead: int,
    ):
        self._pool = ThreadPoolExecutor(threads, "read-ahead")
        self._line: deque[Future[R]] = deque()
        self._ahead, self._is_over = ahead, False
        self._changed = threading.Condition()
        # A daemon: items may wait for standard input, which must not hold up
        # the end of the process.
        threading.Thread(
            target=self._feed,
            args=(function, iter(items)),
            name="read-ahead-items",
            daemon=True,
        ).start()

    def __iter__(self) -> Iterator[R]:
        try:
            while (future := self.get()) is not None:
                yield future.result()
        finally:
            self.close()

    def get(self, seconds: float | None = None) -> Future[R] | None:
        """Takes the next result, which may not be there yet; None: no more.

        Raises:
            TimeoutError: no item came in that time.
        """
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._line or self._is_over, seconds
            ):
                raise TimeoutError
            self._changed.notify_all()
            return self._line.popleft() if self._line else None

    def close(self) -> None:
        """Gives up what is not taken; waits for nothing."""
        with self._changed:
            self._is_over = True
            self._line.clear()
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _feed(self, function: Callable[[T], R], items: Iterator[T]) -> None:
        # Room first: an item that is taken early is an item too many.
        while self._has_room():
            try:
                item = next(items)
            except StopIteration:
                break
            except BaseException as error:
                self._add(_failed, error)
                break
            self._add(self._pool.submit, function, item)
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._line) < self._ahead or self._is_over
            )
            return not self._is_over

    def _add(self, make: Callable[..., Future[R]], *arguments) -> None:
        with self._changed:
            if not self._is_over:
                self._line.append(make(*arguments))
                self._changed.notify_all()


def _failed(error: BaseException) -> Future:
    future: Future = Future()
    future.set_exception(error)
    return future
