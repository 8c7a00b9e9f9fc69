"""Images -> batches -> answers: in order, several at a time, little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import TypeVar

from beam_jobs.files.read_ahead import ReadAhead
from serving.api import contract
from serving.client.load_images import Item, LoadedImage

READERS = 16
# A batch that is not full is sent when nothing came for so long.
_IDLE_S = 0.2

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


def cut(
    items: Iterable[T | None],
    limits: BatchLimits,
    size_of: Callable[[T], int],
) -> Iterator[list[T]]:
    """Yields the items by batches; a None, or an error, closes one as well.

    Args:
        items: None where the next one takes long.
        limits: as they are when an item is added.
        size_of: the bytes of an item.
    """
    batch: list[T] = []
    size = 0
    try:
        for item in items:
            length = 0 if item is None else size_of(item)
            over = limits.are_over(len(batch) + 1, size + length)
            if batch and (item is None or over):
                yield batch
                batch, size = [], 0
            if item is not None:
                batch.append(item)
                size += length
    except Exception:
        if batch:
            yield batch
        raise
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
    loads = ReadAhead(load, items, threads=READERS, ahead=READERS)
    batches = cut(_loaded(loads), limits, lambda image: len(image.data))
    answers = ReadAhead(send, batches, threads=parallel, ahead=parallel)
    try:
        for answer in answers:
            yield from answer
    finally:
        # `answers` may wait for it.
        loads.close()


def _loaded(loads: ReadAhead[LoadedImage]) -> Iterator[LoadedImage | None]:
    """Yields the images, and None where the next one takes long."""
    while True:
        try:
            future = loads.get(_IDLE_S)
        except TimeoutError:
            yield None
            continue
        if future is None:
            return
        # What is loaded already goes off rather than wait for a slow URL.
        if not futures.wait([future], _IDLE_S).done:
            yield None
        yield future.result()
