"""Messages between two workers, over one connection while a work lasts.

A message is its kind (a byte), its length (uint64) and its content: a text or
arrays, as NPZ. Where a process ends, its connections do, and the keep-alive of
TCP finds a host that has gone without a word.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import struct
from collections.abc import Mapping

import numpy as np

from beam_jobs.errors import InputError

ARRAYS, ERROR, END = b"A", b"E", b"."

_HEADER = struct.Struct("<cQ")
# An error is a line.
_LONGEST_TEXT = 65536
# For the other to read the last word.
_LAST_SECONDS = 5.0
# A host that answers nothing is gone after 10 + 3 x 5 seconds.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class LinkLostError(Exception):
    """The other end is no more."""


class Link:
    """A connection to another worker.

    Args:
        name: of the other, for messages.
    """

    def __init__(self, connection: socket.socket, name: str):
        self.name = name
        self._socket = connection
        connection.settimeout(None)
        if connection.family != socket.AF_UNIX:
            _keep_alive(connection)

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Sends a message.

        Raises:
            LinkLostError: the other is gone.
        """
        try:
            self._socket.sendall(_HEADER.pack(kind, len(content)))
            self._socket.sendall(content)
        except OSError as error:
            raise LinkLostError(self.name) from error

    def is_ready(self, seconds: float) -> bool:
        """Returns whether something comes within a time, if only the end."""
        return bool(select.select([self._socket], [], [], seconds)[0])

    def receive(self, kind: bytes) -> bytes:
        """Returns the next message, of this kind.

        Raises:
            InputError: the other says that something is wrong.
            LinkLostError: the other is gone, or speaks otherwise.
        """
        found, size = _HEADER.unpack(self._read(_HEADER.size))
        is_long = found != ARRAYS and size > _LONGEST_TEXT
        if found not in (kind, ERROR) or is_long:
            raise LinkLostError(self.name)
        content = self._read(size)
        if found == ERROR:
            self.close()
            raise InputError(content.decode("utf-8", "replace"))
        return content

    def check(self) -> None:
        """Sees whether the other is still there, without waiting.

        Raises:
            InputError: it says that something is wrong.
            LinkLostError: it is gone.
        """
        if not self.is_ready(0):
            return
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except OSError as error:
            raise LinkLostError(self.name) from error
        if not first:
            raise LinkLostError(self.name)
        if first == ERROR:
            self.receive(ERROR)

    def end(self) -> None:
        """Ends the connection once the other has read what was sent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_LAST_SECONDS)
            # What it still sends would otherwise break what it reads.
            while self._socket.recv(_LONGEST_TEXT):
                pass
        self.close()

    def close(self) -> None:
        """Ends the connection at once."""
        self._socket.close()

    def _read(self, size: int) -> bytes:
        content = bytearray(size)
        rest = memoryview(content)
        while rest:
            try:
                count = self._socket.recv_into(rest)
            except OSError as error:
                raise LinkLostError(self.name) from error
            if not count:
                raise LinkLostError(self.name)
            rest = rest[count:]
        return bytes(content)


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEP_ALIVE.items():
        if hasattr(socket, option):
            number = getattr(socket, option)
            connection.setsockopt(socket.IPPROTO_TCP, number, value)


def pack(arrays: Mapping[str, np.ndarray], *, sparse: bool = False) -> bytes:
    """Returns the bytes of arrays, for `unpack`.

    Args:
        sparse: most numbers are 0, and worth to be compressed.
    """
    content = io.BytesIO()
    save = np.savez_compressed if sparse else np.savez
    save(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of `pack`."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return dict(found)
