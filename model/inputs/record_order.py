"""Which record comes at which place of an epoch: arithmetic, no reading.

A place is a record's number in the epoch's order: global batch k has the
places from k * batch_size on. What lies at a place follows from (seed, epoch,
place) and the data set alone, never from the number of workers, so any of them
finds its own part of any batch at once, in mid-epoch too.

`records`: the places are one random permutation of all records.

`blocks`, where a request for each record is dear (object stores, disks that
turn): S streams, of which each batch takes equal parts. The blocks (R records
that lie one after the other in a shard) come in a random order; the sequence
of their records is cut into S equal stretches, the streams; and within each
window of some blocks of a stream the records are permuted again. Shards hold
their records in the order of a hash, so neighbours are as good as random ones.
What does not fill a batch at the end of the sequence is left out.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from beam_jobs.dataset.record_index import SplitIndex
from beam_jobs.files import storage
from model.config import DataConfig

RECORDS, BLOCKS, AUTO = "records", "blocks", "auto"


def settled(config: DataConfig, dataset: str) -> DataConfig:
    """Returns the config with the reading that `auto` stands for.

    The order depends on it: it must not change where a data set is moved.
    """
    if config.reading != AUTO:
        return config
    remote = storage.is_remote(dataset)
    return replace(config, reading=BLOCKS if remote else RECORDS)


def permuted(
    places: np.ndarray, seed: int, epoch: int, count: int
) -> np.ndarray:
    """Returns where a random permutation of 0 to count - 1 leads some places.

    TensorFlow's stateless permutation: no memory, no time for other places.

    Args:
        places: int64 [n], below count.

    Returns:
        int64 [n].
    """
    import tensorflow as tf

    # The GPU is the training's.
    with tf.device("CPU"):
        key = tf.constant([seed, epoch], tf.int64)
        last = tf.constant(count - 1, tf.int64)
        return tf.random.experimental.index_shuffle(
            tf.constant(places, tf.int64), key, last
        ).numpy()


@dataclass(frozen=True)
class RecordOrder:
    """A permutation of all records in each epoch.

    Attributes:
        count: records of the split.
    """

    seed: int
    count: int

    def numbers(self, epoch: int, places: np.ndarray) -> np.ndarray:
        """Returns the numbers of the records, int64 [n]."""
        return permuted(places, self.seed, epoch, self.count)


class Window(NamedTuple):
    """A window of a stream of an epoch, whose records are read together."""

    epoch: int
    stream: int
    number: int


class _Blocks(NamedTuple):
    """The blocks in an epoch's order: their first records, and where each ends.

    Both int64 [blocks]; ends count the records of the blocks so far.
    """

    first: np.ndarray
    ends: np.ndarray


class BlockOrder:
    """Blocks of neighbours, permuted, and again their records in windows.

    Args:
        starts: of the shards' records, as of `SplitIndex`.
        batch_size: images a step over all replicas.
        streams: how many; a batch takes as many records of each.
        block, window: records, at most.

    Attributes:
        length: records that an epoch takes of a stream.
    """

    def __init__(
        self,
        seed: int,
        starts: np.ndarray,
        batch_size: int,
        *,
        streams: int,
        block: int,
        window: int,
    ):
        self.seed, self.streams = seed, streams
        self.block, self.window = block, window
        self._share = batch_size // streams
        self.length = int(starts[-1]) // batch_size * self._share
        parts = zip(starts[:-1], starts[1:], strict=True)
        self._first = np.concatenate([np.arange(*p, block) for p in parts])
        # The last block of a shard may be shorter.
        ends = starts[np.searchsorted(starts, self._first, "right")]
        self._sizes = np.minimum(self._first + block, ends) - self._first
        self._blocks = functools.lru_cache(2)(self._permuted_blocks)
        self._shuffle = functools.lru_cache(4 * streams)(self._permuted_window)

    def numbers(self, epoch: int, places: np.ndarray) -> np.ndarray:
        """Returns the numbers of the records, int64 [n]."""
        found = np.empty(len(places), np.int64)
        for window, (rows, inside) in self.windows(epoch, places).items():
            found[rows] = self.numbers_in(window)[inside]
        return found

    def windows(
        self, epoch: int, places: np.ndarray
    ) -> dict[Window, tuple[np.ndarray, np.ndarray]]:
        """Returns the windows of some places.

        Args:
            places: int64 [n], of the epoch.

        Returns:
            For each window which of the places it has, and where each lies in
            the records of its `runs`.
        """
        step, inside = np.divmod(places, self._share * self.streams)
        stream, place = np.divmod(inside, self._share)
        number, place = np.divmod(step * self._share + place, self.window)
        names, which = np.unique(
            np.stack([stream, number]), axis=1, return_inverse=True
        )
        found = {}
        for i, name in enumerate(names.T.tolist()):
            window = Window(epoch, *name)
            rows = np.flatnonzero(which.reshape(-1) == i)
            found[window] = (rows, self._shuffle(window)[place[rows]])
        return found

    def numbers_in(self, window: Window) -> np.ndarray:
        """Returns the numbers of a window's records, in the order of `runs`."""
        runs = self.runs(window)
        return np.concatenate([np.arange(f, f + count) for f, count in runs])

    def runs(self, window: Window) -> list[tuple[int, int]]:
        """Returns (first, count) of the records of a window, block by block."""
        first, ends = self._blocks(window.epoch)
        at = window.stream * self.length + window.number * self.window
        end = at + self._size(window)
        place = int(np.searchsorted(ends, at, "right"))
        found = []
        while at < end:
            before = int(ends[place - 1]) if place else 0
            count = min(int(ends[place]), end) - at
            found.append((int(first[place]) + at - before, count))
            at, place = at + count, place + 1
        return found

    def after(self, window: Window) -> Window:
        """Returns the next window of the same stream."""
        epoch, stream, number = window
        if (number + 1) * self.window < self.length:
            return Window(epoch, stream, number + 1)
        return Window(epoch + 1, stream, 0)

    def _size(self, window: Window) -> int:
        return min(self.window, self.length - window.number * self.window)

    def _permuted_window(self, window: Window) -> np.ndarray:
        # Raw numbers, in an order that is stable: equal with any numpy. The
        # key is none of the augmentation's, whose second word is 0.
        key = np.array([self.seed, window.epoch + 1], np.uint64)
        counter = np.array([0, window.stream, window.number, 0], np.uint64)
        drawn = np.random.Philox(key=key, counter=counter)
        return np.argsort(drawn.random_raw(self._size(window)), kind="stable")

    def _permuted_blocks(self, epoch: int) -> _Blocks:
        count = len(self._first)
        order = permuted(np.arange(count), self.seed, epoch, count)
        return _Blocks(self._first[order], np.cumsum(self._sizes[order]))


def make_order(
    config: DataConfig, index: SplitIndex, batch_size: int, seed: int
) -> RecordOrder | BlockOrder:
    """Returns the order of the records, as `config.reading` says.

    Args:
        config: with a settled reading, see `settled`.
        batch_size: images a step over all replicas.
    """
    if config.reading == RECORDS:
        return RecordOrder(seed, len(index))
    mean = max(int(index.sizes.sum()) // len(index), 1)
    streams = _streams(config.streams, batch_size)
    block = max(config.block_bytes // mean, 1)
    return BlockOrder(
        seed,
        index.starts,
        batch_size,
        streams=streams,
        block=block,
        window=max(config.shuffle_bytes // streams // mean, block),
    )


def _streams(most: int, batch_size: int) -> int:
    """Returns how many streams there are: a batch takes as many of each.

    Example:
        >>> [_streams(128, size) for size in (4096, 96, 100, 258)]
        [128, 96, 100, 86]
    """
    return next(
        n for n in range(min(most, batch_size), 0, -1) if not batch_size % n
    )
