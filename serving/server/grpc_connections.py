"""Ends the connections of a gRPC server that is about to stop."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from serving.api.sockets import stop_connecting

# The open files of this process, on Linux and macOS.
_OPEN_FILES = "/dev/fd"


def cut(address: int | str) -> int:
    """Closes all connections to a port, which takes no more of them.

    gRPC answers what comes between its stop and the moment when clients hear
    of it with CANCELLED, which they do not try again, though nothing has run.
    Where the connection is closed, they get UNAVAILABLE.

    Args:
        address: a TCP port, or the path of a Unix socket.

    Returns:
        How many there were; 0 where open files cannot be listed.
    """
    for found in _sockets_at(address):
        # gRPC would write a line about a listening socket that is closed.
        if _listens(found):
            stop_connecting(found)
    count = 0
    for found in _sockets_at(address):
        if not _listens(found):
            found.shutdown(socket.SHUT_RDWR)
            count += 1
    return count


def _sockets_at(address: int | str) -> Iterator[socket.socket]:
    names = os.listdir(_OPEN_FILES) if os.path.isdir(_OPEN_FILES) else []
    for name in names:
        # Most files are no sockets; one may be closed meanwhile.
        with contextlib.suppress(OSError), _socket_of(int(name)) as found:
            if _address_of(found) == address:
                yield found


def _socket_of(number: int) -> socket.socket:
    copy = os.dup(number)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _address_of(found: socket.socket) -> int | str:
    name = found.getsockname()
    return name[1] if isinstance(name, tuple) else name
