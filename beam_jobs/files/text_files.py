"""Reading and listing files of any file system that Beam knows."""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.storage import open_read

_MAX_LINE = 1 << 20
# A longer one is an unclosed quote.
_MAX_FIELD = 1 << 16


@dataclass(frozen=True)
class BadRow:
    """A row that is no CSV."""

    detail: str


def read_csv(
    path: str, delimiter: str = ","
) -> Iterator[tuple[int, list[str] | BadRow]]:
    """Yields (line number, fields) of a CSV file, the header included.

    A row that cannot be parsed becomes a BadRow and reading goes on. A field
    is never longer than a few words here; one of more than 64 KiB is an
    unclosed quote.
    """
    csv.field_size_limit(_MAX_FIELD)
    with open_read(path) as file:
        text = io.TextIOWrapper(
            file, encoding="utf-8-sig", errors="replace", newline=""
        )
        reader = csv.reader(text, strict=True, delimiter=delimiter)
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


def read_sound_csv(
    path: str, delimiter: str = ","
) -> list[tuple[int, list[str]]]:
    """Returns all rows of a small CSV that must be right as a whole.

    Raises:
        InputError: a row that is no CSV (file:line).
    """
    rows: list[tuple[int, list[str]]] = []
    for line, row in read_csv(path, delimiter):
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
    with open_read(path) as file:
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
    with open_read(path) as file:
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


def split_csv(line: str, delimiter: str = ",") -> list[str] | BadRow:
    """Returns the fields of a line that is one CSV row."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        rows = csv.reader(
            [line], strict=True, delimiter=delimiter, skipinitialspace=True
        )
        return next(rows)
    except csv.Error as error:
        return BadRow(str(error))


def join_quoted(
    lines: Iterable[str | BadRow], delimiter: str = ","
) -> Iterator[tuple[int, str | BadRow]]:
    """Yields (index of its first line, row): a quoted field may hold breaks.

    A quote that does not close within 64 KiB, or closes where no field ends,
    is a mistake of its line alone: the rows after it are none the worse.

    Args:
        lines: of a CSV, from the start of a row.
        delimiter: between fields.
    """
    source = enumerate(lines)
    waiting: deque[tuple[int, str | BadRow]] = deque()
    while item := waiting.popleft() if waiting else next(source, None):
        index, line = item
        if isinstance(line, str) and _is_open(line, delimiter):
            text, used = _whole_row(line, waiting, source, delimiter)
            for _ in range(used):
                waiting.popleft()
            line = text
        yield index, line


def _is_open(line: str, delimiter: str) -> bool:
    odd = line.count('"') % 2 == 1
    return odd and isinstance(split_csv(line, delimiter), BadRow)


def _whole_row(
    line: str,
    waiting: deque[tuple[int, str | BadRow]],
    source: Iterator[tuple[int, str | BadRow]],
    delimiter: str,
) -> tuple[str, int]:
    """Returns a row and how many of the lines after its first are in it."""
    parts, size, quotes = [line], len(line), line.count('"')
    while size <= _MAX_FIELD:
        used = len(parts) - 1
        if used == len(waiting):
            following = next(source, None)
            if following is None:
                break
            waiting.append(following)
        more = waiting[used][1]
        if not isinstance(more, str):
            break
        parts.append(more)
        size, quotes = size + len(more) + 1, quotes + more.count('"')
        if quotes % 2 == 0:
            text = "\n".join(parts)
            if isinstance(split_csv(text, delimiter), BadRow):
                break
            return text, used + 1
    return line, 0


def may_break_quoted(path: str) -> bool:
    """Tells whether a quoted field may hold a line break; reads the file.

    Without one every line has an even number of quotes.
    """
    odd = False
    with open_read(path) as file:
        while block := file.read(_MAX_LINE):
            first, *others = block.split(b"\n")
            odd ^= first.count(b'"') % 2 == 1
            for line in others:
                if odd:
                    return True
                odd = line.count(b'"') % 2 == 1
    return odd


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


def read_tsv(
    path: str | os.PathLike[str], header: tuple[str, ...], optional: int = 0
) -> list[tuple[int, list[str]]]:
    """Returns (line number, fields) of a TSV file with exactly this header.

    Args:
        path: the file.
        header: names of the columns.
        optional: so many of the last columns may be missing, in the whole file.

    Raises:
        InputError: no such file, not UTF-8, another header, or a line with
            another number of fields (file:line).
    """
    try:
        lines = storage.read_text(path).splitlines()
    except OSError as error:
        if isinstance(error.__context__, UnicodeDecodeError):
            raise InputError(str(error)) from error
        raise InputError(f"no such file: {os.fspath(path)}") from error
    found = tuple(lines[0].split("\t")) if lines else ()
    least = len(header) - optional
    if found != header[: max(least, len(found))]:
        raise InputError(
            f"{path}:1: the header must be {'<TAB>'.join(header)!r}; "
            f"received: {lines[0] if lines else 'an empty file'!r}"
        )
    rows = [(n, line.split("\t")) for n, line in enumerate(lines[1:], start=2)]
    for number, row in rows:
        if len(row) != len(found):
            raise InputError(
                f"{path}:{number}: {len(found)} fields separated by tabs "
                f"are needed; received: {len(row)}"
            )
    return rows


def parse_index(text: str, path: str | os.PathLike[str], line: int) -> int:
    """Returns a whole number.

    Raises:
        InputError: it is none (file:line).
    """
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{path}:{line}: a whole number is needed; received: {text!r}"
        ) from None
