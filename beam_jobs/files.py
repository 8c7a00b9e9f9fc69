"""Reading and listing files of any file system that Beam knows."""

from __future__ import annotations

import csv
import io
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class BadRow:
    """A row that is no CSV."""

    detail: str


def read_csv(path: str) -> Iterator[tuple[int, list[str] | BadRow]]:
    """Yields (line number, fields) of a CSV file, the header included.

    A row that cannot be parsed becomes a BadRow and reading goes on. A field
    is never longer than a few words here; one of more than 64 KiB is an
    unclosed quote.
    """
    csv.field_size_limit(65536)
    with open_binary(path) as file:
        text = io.TextIOWrapper(
            file, encoding="utf-8-sig", errors="replace", newline=""
        )
        reader = csv.reader(text, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, BadRow(str(error))
                continue
            if any("\N{REPLACEMENT CHARACTER}" in value for value in row):
                yield line, BadRow("not UTF-8 text")
            else:
                yield line, row


def read_sound_csv(path: str) -> list[tuple[int, list[str]]]:
    """Returns all rows of a small CSV that must be right as a whole.

    Raises:
        InputError: a row that is no CSV (file:line).
    """
    rows: list[tuple[int, list[str]]] = []
    for line, row in read_csv(path):
        if isinstance(row, BadRow):
            raise InputError(f"{path}:{line}: not a CSV file: {row.detail}")
        rows.append((line, row))
    return rows


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
