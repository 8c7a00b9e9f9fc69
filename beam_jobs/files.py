"""Reading and listing files of any file system that Beam knows."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from beam_jobs.errors import InputError

_MAX_LINE = 1 << 20


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


def read_lines(
    path: str, start: int = 0, end: int = -1
) -> Iterator[str | BadRow]:
    """Yields the lines whose first byte lies in [start, end), without ends.

    Ranges that touch cover every line of a file once. A line that is no UTF-8
    or longer than 1 MiB, about, becomes a BadRow.
    """
    first = not start
    for block, is_cut in _read_blocks(path, start, end):
        if first:
            block = block.removeprefix(codecs.BOM_UTF8)
            first = False
        lines = _decode_lines(block)
        if is_cut:
            lines[-1] = BadRow(f"a line of over {_MAX_LINE} bytes")
        yield from lines


def _read_blocks(
    path: str, start: int, end: int
) -> Iterator[tuple[bytes, bool]]:
    """Yields whole lines, and whether the last of them was cut short."""
    with open_binary(path) as file:
        position = start
        if start:
            file.seek(start - 1)
            position += _skip_line(file) - 1
        while end < 0 or position < end:
            size = _MAX_LINE if end < 0 else min(_MAX_LINE, end - position)
            block = file.read(size)
            if not block:
                return
            if not block.endswith(b"\n"):
                block += file.readline(_MAX_LINE)
            position += len(block)
            skipped = 0
            if not block.endswith(b"\n"):
                skipped = _skip_line(file)
                position += skipped
            yield block, bool(skipped)


def _decode_lines(block: bytes) -> list[str | BadRow]:
    try:
        text = block.decode()
    except UnicodeDecodeError:
        raw = block.removesuffix(b"\n").split(b"\n")
        return [_decode_line(line) for line in raw]
    lines: list[str | BadRow] = []
    lines += text.removesuffix("\n").split("\n")
    if "\r" in text:
        lines = [str(line).rstrip("\r") for line in lines]
    return lines


def _decode_line(line: bytes) -> str | BadRow:
    try:
        return line.decode().rstrip("\r")
    except UnicodeDecodeError:
        return BadRow("not UTF-8 text")


def first_line_number(path: str, start: int) -> int:
    """Returns the number, from 1, of the first line `read_lines` yields."""
    if not start:
        return 1
    count, left = 2, start - 1
    with open_binary(path) as file:
        while left and (block := file.read(min(left, _MAX_LINE))):
            count += block.count(b"\n")
            left -= len(block)
    return count


def _skip_line(file: BinaryIO) -> int:
    """Reads on past the end of the line; returns the bytes read."""
    count = 0
    while block := file.readline(_MAX_LINE):
        count += len(block)
        if block.endswith(b"\n"):
            break
    return count


def split_csv(line: str) -> list[str] | BadRow:
    """Returns the fields of a line that is one CSV row."""
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as error:
        return BadRow(str(error))


def read_header(path: str) -> list[str]:
    """Returns the fields of the first line of a CSV.

    Raises:
        InputError: it is no CSV.
    """
    first = next(read_lines(path), "")
    fields = split_csv(first) if isinstance(first, str) else first
    if isinstance(fields, BadRow):
        raise InputError(f"{path}:1: not a CSV file: {fields.detail}")
    return fields


def find_file(path: str) -> tuple[str, int]:
    """Returns (path, bytes) of one file.

    Raises:
        InputError: there is none, or it is empty.
    """
    # A local name may hold what is a wildcard elsewhere.
    if os.path.isfile(path):
        found = [(path, os.path.getsize(path))]
    else:
        found = list_files(path)
    if len(found) != 1:
        raise InputError(f"no such file: {path}")
    if not found[0][1]:
        raise InputError(f"{path}: an empty file")
    return found[0]
