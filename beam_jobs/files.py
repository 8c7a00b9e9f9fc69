"""Reading and listing files of any file system that Beam knows."""

from __future__ import annotations

import csv
import io
import os
from collections import OrderedDict
from collections.abc import Iterator
from typing import BinaryIO

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_jobs.annotations import ImageRef
from beam_jobs.errors import InputError


def open_binary(path: str) -> BinaryIO:
    """Opens a file for reading, bytes as they are."""
    return FileSystems.open(
        path, compression_type=CompressionTypes.UNCOMPRESSED
    )


def list_files(*patterns: str) -> list[tuple[str, int]]:
    """Returns (path, bytes) of all files that match a pattern, sorted."""
    results = FileSystems.match(list(patterns))
    found = {
        (metadata.path, metadata.size_in_bytes)
        for result in results
        for metadata in result.metadata_list
    }
    return sorted(found)


def check_folder(folder: str, what: str) -> None:
    """Checks that a local folder exists; remote ones show when listed.

    Raises:
        InputError: it does not, or is a file.
    """
    if "://" not in folder and not os.path.isdir(folder):
        raise InputError(f"{what}: no such folder: {folder}")


def read_csv(path: str) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number, fields) of a CSV file, the header included.

    A field is never longer than a few words here; one that is longer than
    64 KiB (an unclosed quote) raises csv.Error.
    """
    csv.field_size_limit(65536)
    with open_binary(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, strict=True)
        for row in reader:
            yield reader.line_num, row


class ImageReader:
    """Reads images from files and archives, keeping a few handles open.

    Args:
        max_open: handles kept; the one unused longest is closed first.
    """

    def __init__(self, max_open: int = 64):
        self._max_open = max_open
        self._handles: OrderedDict[str, BinaryIO] = OrderedDict()

    def read(self, ref: ImageRef) -> bytes:
        """Returns the bytes of one image.

        Raises:
            OSError: the file is gone, or shorter than it was.
        """
        try:
            handle = self._handles.pop(ref.path, None) or open_binary(ref.path)
        except BeamIOError as error:
            raise OSError(str(error)) from error
        self._handles[ref.path] = handle
        if len(self._handles) > self._max_open:
            self._handles.popitem(last=False)[1].close()
        handle.seek(ref.offset)
        data = handle.read(ref.length)
        if len(data) != ref.length:
            raise OSError(f"{ref.length} bytes expected, {len(data)} there")
        return data

    def close(self) -> None:
        """Closes all handles."""
        for handle in self._handles.values():
            handle.close()
        self._handles.clear()
