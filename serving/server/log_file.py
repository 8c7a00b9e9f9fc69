"""A file of lines, or of records, that is rotated before its limit."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import tfrecords
from serving.traffic.log_format import rotated

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
# Users' images and their tags are not for everybody on the machine.
_MODE = 0o640


class LogFile:
    """Appends to a file; full, it becomes `<name>.1`, and so on.

    Args:
        path: its folder is there.
        most_bytes: of one file.
        files: with the one that is written to; the oldest is removed.
        records: TFRecords come, not lines. Behind half of one a reader finds
            no other, so that it is cut off, where half a line is ended.

    Raises:
        InputError: it cannot be written to, another server does, or it holds
            the other kind.
    """

    def __init__(
        self,
        path: Path,
        most_bytes: int,
        files: int,
        records: bool = False,
    ):
        self._path = path
        self._is_lines = not records
        self._most_bytes = most_bytes
        self._files = files
        self._file = _open(path)
        _check_kind(path, records)
        if records:
            with path.open("rb") as file:
                os.ftruncate(self._file, tfrecords.whole_bytes(file))
        self._size = os.fstat(self._file).st_size
        self._is_cut = (
            self._is_lines and self._size > 0 and not _ends_a_line(path)
        )

    def write(self, line: bytes) -> None:
        """Appends a line, which ends with a line feed, or whole records.

        Raises:
            OSError: it could not be written, or not whole.
        """
        if self._size and self._size + len(line) > self._most_bytes:
            self._rotate()
        # A line that was cut short, by a full disk or a kill, spoils no other.
        data = b"\n" + line if self._is_cut else line
        # Without a buffer: what a full disk refuses is not kept for later.
        written = os.write(self._file, data)
        if written < len(data) and not self._is_lines:
            os.ftruncate(self._file, self._size)
            raise OSError(f"{written} of {len(data)} bytes written")
        self._size += written
        self._is_cut = self._is_lines and data[written - 1 : written] != b"\n"
        if written < len(data):
            raise OSError(f"{written} of {len(data)} bytes written")

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _rotate(self) -> None:
        # First, so that nothing has moved where it fails.
        fresh = self._path.with_name(f".{self._path.name}.fresh")
        opened = _lock(os.open(fresh, _FLAGS | os.O_TRUNC, _MODE), self._path)
        for number in range(self._files - 1, 0, -1):
            newer = rotated(self._path, number - 1)
            if newer.exists():
                newer.replace(rotated(self._path, number))
        fresh.replace(self._path)
        os.close(self._file)
        self._file, self._size, self._is_cut = opened, 0, False


def _open(path: Path) -> int:
    try:
        return _lock(os.open(path, _FLAGS, _MODE), path)
    except OSError as error:
        raise InputError(
            f"cannot write the request log {path}: {error.strerror}"
        ) from error


def _check_kind(path: Path, records: bool) -> None:
    with path.open("rb") as file:
        head = file.read(tfrecords.HEADER.size)
    # Of fewer bytes nobody can tell, and nothing is lost.
    is_full = len(head) == tfrecords.HEADER.size
    if is_full and (tfrecords.length_of(head) is not None) != records:
        wanted, other = "TFRecords", "something else"
        if not records:
            wanted, other = "JSON lines", "TFRecords"
        raise InputError(
            f"the request log {path} is to hold {wanted}, but holds {other}; "
            "give it another name"
        )


def _lock(file: int, path: Path) -> int:
    # Two would rotate each other's lines away. Ends with the file.
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise InputError(
            f"another server writes the request log {path}; give each its own"
        ) from error
    return file


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
