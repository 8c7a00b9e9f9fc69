"""The framing of TFRecord files.

A record is the length of its bytes (uint64), the checksum of the length
(uint32), the bytes, and their checksum (uint32); checksums are masked CRC-32C:
https://www.tensorflow.org/tutorials/load_data/tfrecord.
"""

from __future__ import annotations

import struct

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
