"""Ports: taken before the long work, so that a used one is told at once."""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

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


_SO_ATTACH_FILTER = 26  # Of Linux; Python has no name for it.
_RETURN = 0x06  # BPF_RET | BPF_K of <linux/bpf_common.h>


def stop_connecting(listening: socket.socket) -> None:
    """Drops what asks for a connection; those that wait can be accepted.

    A connection that the kernel has taken and nobody has accepted is reset
    when its listening socket is closed: call this a moment before. Without
    effect elsewhere than on Linux
    (https://www.kernel.org/doc/html/latest/networking/filter.html).
    """
    if sys.platform != "linux":
        return
    # One instruction: take no byte of the packet.
    code = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(code))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
