"""Workers meet before TensorFlow starts, and compare what they train.

TensorFlow would wait for the others for an hour, without a word and deaf to
signals. So each worker tells the chief, at the address where TensorFlow will
be, its number and what it is about to train; when all are there and agree, the
chief lets them go on, and the port is free again.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from beam_jobs.errors import InputError
from model.training.cluster import Workers
from model.training.endings import WorkerLostError

_POLL_SECONDS = 1.0
# To connect, and for a line that has begun.
_LINE_SECONDS = 5.0
_LINE_BYTES = 4096
# When the wait is told, and how often again.
_FIRST_WORD, _NEXT_WORD = 5.0, 60.0
# Of the workers that are awaited.
_NAMED = 8


class _NobodyError(Exception):
    """Who came to the chief's port is no worker."""


def meet(workers: Workers, plan: Mapping[str, str], seconds: float) -> None:
    """Waits until all workers are there, with the same plan.

    Args:
        plan: what is trained, by the words of an error: `{"config": digest}`.
        seconds: longest wait.

    Raises:
        InputError: a plan differs, or this worker's port is taken.
        WorkerLostError: not all came in that time; who is missing is told.
    """
    if workers.count == 1:
        return
    wait = _Wait(workers, time.monotonic() + seconds)
    with _listening(workers) as server:
        if workers.is_chief:
            _gather(server, plan, wait)
    if not workers.is_chief:
        _join(plan, wait)


class _Wait:
    """Tells who is awaited, now and then, and ends the wait."""

    def __init__(self, workers: Workers, end: float):
        self.workers = workers
        self._end = end
        self._next_word = time.monotonic() + _FIRST_WORD

    def go_on(self, missing: str) -> None:
        """Raises WorkerLostError if the time is over."""
        now = time.monotonic()
        if now >= self._end:
            print(
                f"error: {missing} did not come; start all workers with the "
                "same command; --join-seconds N waits longer",
                file=sys.stderr,
            )
            raise WorkerLostError
        if now >= self._next_word:
            self._next_word = now + _NEXT_WORD
            print(f"waiting for {missing}", file=sys.stderr, flush=True)

    def name(self, *indices: int) -> str:
        """Returns which workers these are, for messages."""
        addresses = self.workers.addresses
        named = [f"worker {i} at {addresses[i]}" for i in indices[:_NAMED]]
        more = len(indices) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")


@contextlib.contextmanager
def _listening(workers: Workers) -> Iterator[socket.socket]:
    """Takes this worker's port, if only to see that TensorFlow can."""
    host, port = workers.address(workers.index)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        # Connections of an earlier run may still be closing there.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("", port))
            server.listen(workers.count)
        except OSError as error:
            raise InputError(
                f"port {port} of worker {workers.index} cannot be used "
                f"({error.strerror}): end what listens there, or name another "
                "port to all workers"
            ) from error
        yield server


def _gather(
    server: socket.socket, plan: Mapping[str, str], wait: _Wait
) -> None:
    server.settimeout(_POLL_SECONDS)
    here: dict[int, socket.socket] = {}
    try:
        # Who is gone since it came cannot say that it is ready.
        while (missing := _missing(here, wait.workers)) or not _ready(here):
            if not missing:
                continue
            wait.go_on(wait.name(*missing))
            with contextlib.suppress(_NobodyError):
                index, theirs, connection = _accept(server, wait.workers)
                here[index] = connection
                if differs := [k for k in plan if plan[k] != theirs.get(k)]:
                    _refuse(here, index, differs[0])
        for connection in here.values():
            _send(connection, {"go": True})
    finally:
        for connection in here.values():
            connection.close()


def _ready(here: dict[int, socket.socket]) -> bool:
    """Asks each; forgets who does not answer."""
    answered = True
    for index, connection in list(here.items()):
        try:
            _send(connection, {"ready": True})
            _receive(connection)
        except (OSError, ValueError):
            here.pop(index).close()
            answered = False
    return answered


def _missing(here: dict[int, socket.socket], workers: Workers) -> list[int]:
    """Returns who is not there; forgets who went away again."""
    readable, _, _ = select.select(list(here.values()), [], [], 0)
    for index, connection in list(here.items()):
        # Nobody says a second word: it is the end of the connection.
        if connection in readable:
            here.pop(index).close()
    return [i for i in range(1, workers.count) if i not in here]


def _accept(
    server: socket.socket, workers: Workers
) -> tuple[int, Mapping[str, Any], socket.socket]:
    """Returns the next worker's number, plan and connection.

    Raises:
        _NobodyError: nobody came for now, or it is not one of the workers.
    """
    try:
        connection, _ = server.accept()
    except OSError as error:
        raise _NobodyError from error
    try:
        connection.settimeout(_LINE_SECONDS)
        said = _receive(connection)
        index, plan = int(said["index"]), dict(said["plan"])
        if 0 < index < workers.count:
            return index, plan, connection
    except (KeyError, TypeError, ValueError, OSError) as error:
        connection.close()
        raise _NobodyError from error
    connection.close()
    raise _NobodyError


def _refuse(here: dict[int, socket.socket], index: int, what: str) -> None:
    said = f"worker {index} and the chief do not have the same {what}"
    for connection in here.values():
        with contextlib.suppress(OSError):
            _send(connection, {"error": said})
    raise InputError(said)


def _join(plan: Mapping[str, str], wait: _Wait) -> None:
    while True:
        wait.go_on(wait.name(0))
        answer = _ask_chief(plan, wait)
        if "error" in answer:
            raise InputError(str(answer["error"]))
        if answer.get("go"):
            return
        time.sleep(_POLL_SECONDS)


def _ask_chief(plan: Mapping[str, str], wait: _Wait) -> Mapping[str, Any]:
    """Returns what the chief says; nothing if it is not there (any more)."""
    workers, message = wait.workers, {"plan": dict(plan)}
    try:
        with socket.create_connection(
            workers.address(0), _LINE_SECONDS
        ) as connection:
            _send(connection, {"index": workers.index, **message})
            while True:
                if select.select([connection], [], [], _POLL_SECONDS)[0]:
                    said = _receive(connection)
                    if "ready" not in said:
                        return said
                    _send(connection, said)
                wait.go_on(f"those whom {wait.name(0)} waits for")
    except (OSError, ValueError):
        return {}


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _receive(connection: socket.socket) -> Mapping[str, Any]:
    """Reads one line of JSON.

    Raises:
        OSError: it does not come.
        ValueError: it is none, or too long.
    """
    line = b""
    while not line.endswith(b"\n"):
        more = connection.recv(_LINE_BYTES)
        line += more
        if not more or len(line) > _LINE_BYTES:
            raise ValueError("no line")
    said = json.loads(line)
    if not isinstance(said, dict):
        raise ValueError("no object")
    return said
