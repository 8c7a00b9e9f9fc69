"""The framing of TFRecord files.

A record is the length of its bytes (uint64), the checksum of the length
(uint32), the bytes, and their checksum (uint32); checksums are masked CRC-32C:
https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

HEADER = struct.Struct("<QI")
CHECKSUM = struct.Struct("<I")
# What a record takes besides its bytes.
FRAME_BYTES = HEADER.size + CHECKSUM.size


def masked_crc(data: bytes) -> int:
    """Returns the checksum that TFRecords hold of some bytes."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def length_of(header: bytes) -> int | None:
    """Returns the bytes of a record; None if its header is cut or damaged."""
    if len(header) < HEADER.size:
        return None
    length, checksum = HEADER.unpack(header)
    return length if checksum == masked_crc(header[:8]) else None


def is_whole(data: bytes, checksum: bytes) -> bool:
    """Returns whether the bytes of a record have the checksum after them."""
    return checksum == CHECKSUM.pack(masked_crc(data))


def framed(data: bytes) -> bytes:
    """Returns the record of some bytes, as it stands in a file."""
    length = struct.pack("<Q", len(data))
    checksum = CHECKSUM.pack(masked_crc(length))
    return b"".join((length, checksum, data, CHECKSUM.pack(masked_crc(data))))


def whole_bytes(file: BinaryIO) -> int:
    """Returns how much of a file is whole records; reads no more than headers.

    Where it was cut short, by a full disk or a kill, the rest is no record.
    """
    size = file.seek(0, os.SEEK_END)
    place = 0
    while True:
        file.seek(place)
        length = length_of(file.read(HEADER.size))
        if length is None or place + FRAME_BYTES + length > size:
            return place
        place += FRAME_BYTES + length


def read_framed(file: BinaryIO, most_bytes: int) -> Iterator[bytes | None]:
    """Yields the bytes of each record, None for a damaged or too long one.

    Behind a damaged header no record can be found: it is the last.
    """
    while header := file.read(HEADER.size):
        length = length_of(header)
        if length is None:
            yield None
            return
        if length > most_bytes:
            file.seek(length + CHECKSUM.size, os.SEEK_CUR)
            yield None
            continue
        data, checksum = file.read(length), file.read(CHECKSUM.size)
        yield data if is_whole(data, checksum) else None
