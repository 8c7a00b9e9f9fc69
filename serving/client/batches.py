"""Images -> batches -> answers: in order, several at a time, little memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from serving.api import contract
from serving.client.load_images import Item, LoadedImage

READERS = 16
# A batch that is not full is sent when nothing came for so long.
_IDLE_S = 0.2
_POLL_S = 0.1

T = TypeVar("T")


@dataclass
class BatchLimits:
    """How much goes into one request; threads share it.

    Attributes:
        images: TensorFlow Serving refuses more than its largest batch.
        size: bytes of all image files.
    """

    images: int = contract.BATCH_SIZES[-1]
    size: int = 8 * 1024**2

    def halve(self, images: Sequence[bytes]) -> None:
        """Notes that a server refused a request as too large."""
        self.images = min(self.images, max(1, len(images) // 2))
        self.size = min(self.size, max(1, sum(map(len, images)) // 2))

    def are_over(self, images: int, size: int) -> bool:
        """Tells whether so many images and bytes are too much."""
        return images > self.images or (images > 1 and size > self.size)


def cut(images: Iterable[bytes], limits: BatchLimits) -> Iterator[list[bytes]]:
    """Yields the images by batches."""
    batch: list[bytes] = []
    size = 0
    for image in images:
        if limits.are_over(len(batch) + 1, size + len(image)):
            yield batch
            batch, size = [], 0
        batch.append(image)
        size += len(image)
    if batch:
        yield batch


def stream(
    items: Iterable[Item],
    load: Callable[[Item], LoadedImage],
    send: Callable[[list[LoadedImage]], list[T]],
    limits: BatchLimits,
    parallel: int,
) -> Iterator[T]:
    """Loads items, sends them by batches, yields the answers in order.

    No more is read than is being sent or will be next. Closing the generator
    gives the rest up.

    Args:
        items: taken one by one, in a thread of its own.
        load: called by threads; must not raise.
        send: called by threads with a batch; an answer for each image.
        limits: of a batch, as they are when it is put together.
        parallel: batches that are sent at a time.

    Raises:
        Exception: the first that `items` or `send` raised, after the answers
            for all images before it.
    """
    stop = threading.Event()
    loads: _Line[LoadedImage] = _Line(stop, READERS)
    answers: _Line[list[T]] = _Line(stop, parallel)
    readers = ThreadPoolExecutor(READERS, "read")
    senders = ThreadPoolExecutor(parallel, "send")
    batcher = _Batcher(
        loads, answers, lambda batch: senders.submit(send, batch), limits
    )

    def feed() -> None:
        for item in items:
            loads.put(readers.submit(load, item))
        loads.put(None)

    try:
        for work, line in ((feed, loads), (batcher.work, answers)):
            # One that waits for standard input must not hold up the end.
            threading.Thread(
                target=_guard, args=(work, line), daemon=True
            ).start()
        while (answer := answers.get()) is not None:
            yield from answer.result()
    finally:
        stop.set()
        readers.shutdown(wait=False, cancel_futures=True)
        senders.shutdown(wait=False, cancel_futures=True)


class _Stopped(Exception):
    """Nobody wants what a thread does."""


class _Idle(Exception):
    """Nothing came."""


class _Line(Generic[T]):
    """A bounded queue of futures that gives up when it is told to stop."""

    def __init__(self, stop: threading.Event, size: int):
        self._stop = stop
        self._queue: queue.Queue[Future[T] | None] = queue.Queue(size)

    def put(self, future: Future[T] | None) -> None:
        """Waits for a place; None is the end."""
        while not self._stop.is_set():
            try:
                return self._queue.put(future, timeout=_POLL_S)
            except queue.Full:
                continue
        raise _Stopped

    def get(self, idle_s: float | None = None) -> Future[T] | None:
        """Returns the next; raises _Idle if none comes in that time."""
        wait = _POLL_S if idle_s is None else idle_s
        while not self._stop.is_set():
            try:
                return self._queue.get(timeout=wait)
            except queue.Empty:
                if idle_s is not None:
                    raise _Idle from None
        raise _Stopped


def _guard(work: Callable[[], None], line: _Line) -> None:
    """Runs a thread's work; an error of it goes on along the line."""
    try:
        try:
            work()
        except Exception as error:
            line.put(_failed(error))
    except _Stopped:
        pass


def _failed(error: Exception) -> Future:
    future: Future = Future()
    future.set_exception(error)
    return future


class _Batcher(Generic[T]):
    """Puts loaded images together."""

    def __init__(
        self,
        loads: _Line[LoadedImage],
        answers: _Line[list[T]],
        submit: Callable[[list[LoadedImage]], Future[list[T]]],
        limits: BatchLimits,
    ):
        self._loads, self._answers = loads, answers
        self._submit, self._limits = submit, limits
        self._batch: list[LoadedImage] = []
        self._size = 0

    def work(self) -> None:
        """Goes on until the end of the images."""
        while (future := self._next()) is not None:
            if future.exception() is not None:
                self._flush()
            self._add(future.result())
        self._flush()
        self._answers.put(None)

    def _next(self) -> Future[LoadedImage] | None:
        """Waits for an image; sends what it has if that takes long."""
        if not self._batch:
            return self._loads.get()
        try:
            future = self._loads.get(_IDLE_S)
        except _Idle:
            self._flush()
            return self._loads.get()
        if future is not None and not futures.wait([future], _IDLE_S).done:
            self._flush()
        return future

    def _add(self, image: LoadedImage) -> None:
        size = self._size + len(image.data)
        if self._limits.are_over(len(self._batch) + 1, size):
            self._flush()
        self._batch.append(image)
        self._size += len(image.data)

    def _flush(self) -> None:
        if self._batch:
            self._answers.put(self._submit(self._batch))
        self._batch, self._size = [], 0
