"""Which shard is damaged.

A TFRecord is the length of its bytes (uint64), the checksum of the length
(uint32), the bytes, and their checksum (uint32):
https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

import google_crc32c

from beam_jobs.files import storage

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
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
    where = f"({said.splitlines()[0]})" if byte is None else f"at byte {byte}"
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
            header = file.read(_HEADER.size)
            if not _is_header(header):
                return start == byte
            length, _ = _HEADER.unpack(header)
            end = start + _HEADER.size + length + _CHECKSUM.size
            if byte in (start, start + _HEADER.size):
                return end > size or not _is_whole(file.read(end - file.tell()))
            start = file.seek(end)
    return False


def _is_header(header: bytes) -> bool:
    if len(header) < _HEADER.size:
        return False
    return _HEADER.unpack(header)[1] == masked_crc(header[:8])


def _is_whole(content: bytes) -> bool:
    data, checksum = content[: -_CHECKSUM.size], content[-_CHECKSUM.size :]
    return _CHECKSUM.unpack(checksum)[0] == masked_crc(data)


def masked_crc(data: bytes) -> int:
    """Returns the checksum that TFRecords hold of some bytes."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
