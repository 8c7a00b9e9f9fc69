"""Reads what lies at places of the epochs, and passes over what is damaged."""

from __future__ import annotations

import functools
import threading
from concurrent.futures import Future

import numpy as np

from beam_jobs.errors import InputError
from model.inputs.record_order import BlockOrder, RecordOrder, Window
from model.inputs.record_reader import RecordReader, Row
from model.inputs.skipped_records import SkippedRecords

# What the system's allocator takes for records that come and go, over their
# bytes: 1.25 as measured.
_ALLOCATED = 1.3


class EpochReader:
    """Reads the records of batches. Threads may share it.

    The place of a damaged record gets the next sound one of its shard, or of
    the shards after it: the same for any number of workers.

    Args:
        epochs: none is read ahead of from there on.
    """

    def __init__(
        self,
        reader: RecordReader,
        order: RecordOrder | BlockOrder,
        skipped: SkippedRecords,
        epochs: int,
    ):
        self.skipped = skipped
        self._reader, self._order = reader, order
        self._windows = None
        if isinstance(order, BlockOrder):
            self._windows = _Windows(reader, order, epochs)

    def read(
        self, epoch: int, places: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers of the records at some places, and themselves.

        Args:
            places: int64 [n], of the epoch.

        Returns:
            int64 [n] and bytes [n].

        Raises:
            InputError: more are damaged than may be.
        """
        if self._windows:
            numbers, rows = self._windows.read(epoch, places)
        else:
            numbers = self._order.numbers(epoch, places)
            rows = self._reader.read_all(numbers)
        sound = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            if isinstance(row, InputError):
                self.skipped.add(epoch, int(places[i]), row)
                numbers[i], row = self.after(int(numbers[i]))
            sound[i] = row
        return numbers, sound

    def calls(self, size: int) -> int:
        """Returns how many batches of `size` records to read at once."""
        # A window has its requests under way before a batch asks for it.
        return 1 if self._windows else self._reader.calls(size)

    def after(self, number: int) -> tuple[int, bytes]:
        """Returns the next sound record after one, and its number.

        Raises:
            InputError: there is none.
        """
        count = len(self._reader.index)
        for ahead in range(1, count):
            other = (number + ahead) % count
            (row,) = self._reader.read(other)
            if not isinstance(row, InputError):
                return other, row
        raise InputError(f"all {count} records are damaged")


def bytes_held(
    reader: RecordReader,
    order: RecordOrder | BlockOrder,
    batch_size: int,
    workers: int,
) -> float:
    """Returns the bytes of records that a worker holds at most, about.

    Args:
        batch_size: images a step over all replicas.
    """
    size = batch_size // workers
    # Two batches are being decoded, and one is handed on.
    records = (reader.calls(size) + 3) * size
    if isinstance(order, BlockOrder):
        streams = min(-(-order.streams // workers) + 1, order.streams)
        # Windows at work, those after them, requests on their way.
        records = 4 * size + 2 * streams * order.window
        records += reader.requests * order.block
    mean = int(reader.index.sizes.sum()) / len(reader.index)
    return _ALLOCATED * records * mean


def describe(
    reader: RecordReader,
    order: RecordOrder | BlockOrder,
    batch_size: int,
    workers: int,
) -> str:
    """Returns a line on how a worker reads, with the memory for records.

    Args:
        batch_size: images a step over all replicas.
    """
    how = "records one by one"
    if isinstance(order, BlockOrder):
        how = (
            f"{order.streams} streams of blocks of {order.block} records, "
            f"shuffled within {order.window}"
        )
    held = bytes_held(reader, order, batch_size, workers)
    return (
        f"reading {how}, {reader.requests} requests at once; up to "
        f"{held / 1e6:,.0f} MB of records in memory"
    )


class _Windows:
    """The windows that are being read from: one a stream, and the one after."""

    def __init__(self, reader: RecordReader, order: BlockOrder, epochs: int):
        self._reader, self._order, self._epochs = reader, order, epochs
        self._held: dict[int, dict[Window, _Window]] = {}
        self._lock = threading.Lock()

    def read(
        self, epoch: int, places: np.ndarray
    ) -> tuple[np.ndarray, list[Row]]:
        """Returns numbers and records of some places."""
        numbers = np.empty(len(places), np.int64)
        found: list[Row] = [b""] * len(places)
        wanted = self._order.windows(epoch, places)
        with self._lock:
            # All requests go out before the first is waited for.
            windows = [self._take(window) for window in wanted]
        for window, (rows, inside) in zip(
            windows, wanted.values(), strict=True
        ):
            numbers[rows] = window.numbers[inside]
            for row, place in zip(rows.tolist(), inside.tolist(), strict=True):
                found[row] = window.rows[place]
        return numbers, found

    def _take(self, window: Window) -> _Window:
        """Returns a window, and has the one after it read meanwhile."""
        before = self._held.get(window.stream, {})
        after = self._order.after(window)
        held = {window: before.get(window) or self._start(window)}
        if after.epoch < self._epochs:
            held[after] = before.get(after) or self._start(after)
        self._held[window.stream] = held
        return held[window]

    def _start(self, window: Window) -> _Window:
        futures = self._reader.start(self._order.runs(window))
        return _Window(futures, self._order.numbers_in(window))


class _Window:
    """The records of a window, which may still be on their way."""

    def __init__(self, futures: list[Future], numbers: np.ndarray):
        self.numbers = numbers
        self._futures = futures

    @functools.cached_property
    def rows(self) -> list[Row]:
        """The records, once they are all there."""
        return [row for future in self._futures for row in future.result()]
