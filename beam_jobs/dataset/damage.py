"""Which shard is damaged, and what to say of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from beam_jobs.errors import InputError
from beam_jobs.files import storage, tfrecords

_BYTE = re.compile(r"\brecord at (\d+)")


def find_byte(said: str) -> int | None:
    """Returns where a damaged record begins, as TensorFlow said.

    Example:
        >>> find_byte("corrupted record at 21 [Op:IteratorGetNext]")
        21
    """
    found = _BYTE.search(said)
    return int(found[1]) if found else None


def describe(shard: str, said: str) -> str:
    """Returns the line for a damaged shard.

    Args:
        said: by TensorFlow.
    """
    byte = find_byte(said)
    return _line(
        shard,
        f"({said.splitlines()[0]})" if byte is None else f"at byte {byte}",
    )


def damaged(shard: str, byte: int) -> InputError:
    """Returns what to raise where a record is damaged.

    Args:
        byte: where the record begins, or where its bytes do.
    """
    return InputError(_line(shard, f"at byte {byte}"))


def _line(shard: str, where: str) -> str:
    return (
        f"{shard} is damaged {where}; copy it again, or make the data set "
        "again with `tagforest dataset`"
    )


def damaged_shard(shards: Iterable[str], byte: int) -> str | None:
    """Returns the first shard with a damaged record at a byte, or None.

    TensorFlow says at which byte it met a damaged record, and not in which
    file. Of the records before it only the lengths are read.

    Args:
        byte: where the record begins, or where its bytes do.
    """
    return next((s for s in shards if _is_damaged(s, byte)), None)


def _is_damaged(shard: str, byte: int) -> bool:
    size, start = storage.size(shard), 0
    with storage.open_read(shard) as file:
        while start <= byte and start < size:
            length = tfrecords.length_of(file.read(tfrecords.HEADER.size))
            if length is None:
                return start == byte
            end = start + length + tfrecords.FRAME_BYTES
            if byte in (start, start + tfrecords.HEADER.size):
                return end > size or not tfrecords.is_whole(
                    file.read(length), file.read(tfrecords.CHECKSUM.size)
                )
            start = file.seek(end)
    return False
