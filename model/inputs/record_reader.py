"""Reads records by their numbers, in threads, and checks each of them."""

from __future__ import annotations

import functools
import os
import resource
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import numpy as np

from beam_jobs.dataset.damage import damaged
from beam_jobs.dataset.record_index import SplitIndex
from beam_jobs.errors import InputError
from beam_jobs.files import storage, tfrecords

# A record, or what is wrong with it.
Row = bytes | InputError
# Of the files that this process may have open; the others are TensorFlow's.
_OPEN_FILES = max(resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4, 64)
_RUN_BYTES = 8 << 20
_CHECKSUM = tfrecords.CHECKSUM.size


class RecordReader:
    """Reads records of a split. Threads may share it.

    Args:
        index: of the split.
        requests: that are under way at once.
    """

    def __init__(self, index: SplitIndex, requests: int):
        self.index = index
        self.requests = requests
        self._threads = _threads(requests)
        self._open = functools.lru_cache(_OPEN_FILES)(_open)
        self._suspects: set[int] = set()
        self._lock = threading.Lock()

    def calls(self, size: int) -> int:
        """Returns how many `read_all` of `size` records make the requests."""
        return -(-self.requests // size) + 1

    def read_all(self, numbers: np.ndarray) -> list[Row]:
        """Returns records, each read by itself.

        Args:
            numbers: int64 [n], in any order.
        """
        parts = np.array_split(numbers, min(len(numbers), self.requests))
        found = self._threads.map(self._read_each, parts)
        return [row for part in found for row in part]

    def _read_each(self, numbers: np.ndarray) -> list[Row]:
        return [self.read(number)[0] for number in numbers.tolist()]

    def start(self, runs: Sequence[tuple[int, int]]) -> list[Future]:
        """Begins to `read` runs of neighbours, given as (first, count)."""
        return [self._threads.submit(self.read, *run) for run in runs]

    def read(self, first: int, count: int = 1) -> list[Row]:
        """Returns neighbours of one shard, by one request.

        Raises:
            InputError: the file cannot be read.
        """
        shard, place = self.index.place_of(first)
        rows = self._read(shard, place, count)
        if not any(isinstance(row, InputError) for row in rows):
            return rows
        # Offsets of another shard look like damage, too.
        with self._lock:
            if shard not in self._suspects:
                self.index.make_anew(shard)
                self._suspects.add(shard)
        return self._read(shard, place, count)

    def read_in_order(self) -> Iterator[list[Row]]:
        """Yields all records, some together."""
        for shard, start in enumerate(self.index.starts[:-1].tolist()):
            offsets = self.index.offsets(shard)
            # The records that begin in the same stretch of bytes.
            stretch = offsets[:-1] // _RUN_BYTES
            firsts = np.flatnonzero(np.diff(stretch, prepend=-1))
            ends = np.append(firsts, len(stretch))[1:]
            for first, end in zip(firsts.tolist(), ends.tolist(), strict=True):
                yield self.read(start + first, end - first)

    def _read(self, shard: int, place: int, count: int) -> list[Row]:
        path = self.index.shards[shard]
        offsets = self.index.offsets(shard)[place : place + count + 1].tolist()
        first, last = offsets[0], offsets[-1]
        try:
            content = self._bytes(path, first, last - first)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        return [
            _record(path, start, content, start - first, end - first)
            for start, end in zip(offsets, offsets[1:], strict=False)
        ]

    def _bytes(self, path: str, at: int, size: int) -> bytes:
        if not storage.is_remote(path):
            # By a name, which keeps it open until all is read.
            file = self._open(path)
            return os.pread(file.number, size, at)
        with storage.open_read(path) as stream:
            # Beam's buffer would fetch 16 MB for the smallest record.
            return _read_at(getattr(stream, "raw", stream), at, size)


def _record(path: str, byte: int, content: bytes, start: int, end: int) -> Row:
    """Returns the record between two places of what was read, if it is one.

    Args:
        byte: where it begins in its file.
    """
    data_start, data_end = start + tfrecords.HEADER.size, end - _CHECKSUM
    length = tfrecords.length_of(content[start:data_start])
    if length != data_end - data_start or len(content) < end:
        return damaged(path, byte)
    data = content[data_start:data_end]
    if not tfrecords.is_whole(data, content[data_end:end]):
        return damaged(path, byte + tfrecords.HEADER.size)
    return data


def _read_at(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    parts = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _Descriptor:
    """An open file that closes when nobody reads it any more."""

    def __init__(self, number: int):
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


def _open(path: str) -> _Descriptor:
    return _Descriptor(os.open(path, os.O_RDONLY))


@functools.cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="read")
