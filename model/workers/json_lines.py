"""One line of JSON at a time between two processes (no TensorFlow here)."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

_MOST_BYTES = 1 << 16


class NoLineError(Exception):
    """What comes is no line of JSON, or too long, or nothing any more."""


def send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Sends an object.

    Raises:
        OSError: nobody is there any more.
    """
    connection.sendall(json.dumps(message).encode() + b"\n")


def receive(connection: socket.socket) -> Mapping[str, Any]:
    """Reads an object, and nothing of what comes behind it.

    Raises:
        OSError: it does not come.
        NoLineError: it is none.
    """
    line = b""
    while not line.endswith(b"\n"):
        seen = connection.recv(_MOST_BYTES, socket.MSG_PEEK)
        more = connection.recv(seen.find(b"\n") + 1 or len(seen))
        line += more
        if not more or len(line) > _MOST_BYTES:
            raise NoLineError
    try:
        said = json.loads(line)
    except ValueError as error:
        raise NoLineError from error
    if not isinstance(said, dict):
        raise NoLineError
    return said
