"""Ports: taken before the long work, so that a used one is told at once."""

from __future__ import annotations

import socket

from beam_jobs.errors import InputError


def bind(host: str, port: int, purpose: str) -> socket.socket:
    """Returns a TCP socket bound to a port, not yet listening.

    Args:
        host: name or address.
        port: 0 for any free one.
        purpose: for the message, as `gRPC`.

    Raises:
        InputError: a bad port or host, or the port is in use.
    """
    if not 0 <= port <= 65535:
        raise InputError(
            f"the {purpose} port must be 0 to 65535; received: {port}"
        )
    option = f"--{purpose.lower()}-port"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"no such host: {host!r} ({error})") from error
    # What a server left a minute ago is free.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(
            f"cannot listen on {host}, port {port} for {purpose}: "
            f"{error.strerror}; choose another with {option}"
        ) from error
    return bound
