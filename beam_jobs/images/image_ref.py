"""Reading the bytes of images from files and archives."""

from __future__ import annotations

from collections import OrderedDict
from typing import BinaryIO, NamedTuple

from beam_jobs.files import storage


class ImageRef(NamedTuple):
    """Where the bytes of an image lie.

    Attributes:
        path: a file, of any file system that Beam knows.
        offset: first byte of the image within the file.
        length: number of bytes; -1 for the whole file, unlisted.
    """

    path: str
    offset: int = 0
    length: int = -1


class ImageReader:
    """Reads images, keeping a few handles open. Not for several threads.

    Args:
        max_open: handles kept; the one unused longest is closed first.
    """

    def __init__(self, max_open: int = 64):
        self._max_open = max_open
        self._handles: OrderedDict[str, BinaryIO] = OrderedDict()

    def read(self, ref: ImageRef, max_bytes: int = -1) -> bytes:
        """Returns the bytes of one image.

        Args:
            ref: where they lie.
            max_bytes: of a file of unknown length, one more at most is read,
                which tells that there are too many; -1 for no limit.

        Raises:
            OSError: the file is gone, or shorter than it was.
        """
        handle = self._handles.pop(ref.path, None)
        if handle is None:
            handle = storage.open_read(ref.path)
        self._handles[ref.path] = handle
        if len(self._handles) > self._max_open:
            self._handles.popitem(last=False)[1].close()
        handle.seek(ref.offset)
        if ref.length < 0:
            return handle.read(max_bytes + 1 if max_bytes >= 0 else -1)
        data = handle.read(ref.length)
        if len(data) != ref.length:
            raise OSError(f"{ref.length} bytes expected, {len(data)} there")
        return data

    def close(self) -> None:
        """Closes all handles."""
        for handle in self._handles.values():
            handle.close()
        self._handles.clear()
