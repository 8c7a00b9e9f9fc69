"""Workers that share a work, in threads of this process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from model.workers.endings import PartDoneError
from model.workers.links import Link
from model.workers.team import Team


def linked() -> tuple[socket.socket, socket.socket]:
    """Returns both ends of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        return one, server.accept()[0]


def teams(count: int) -> list[Team]:
    """Returns a team, the chief first."""
    pairs = [linked() for _ in range(1, count)]
    here = [Link(one, f"worker {i}") for i, (one, _) in enumerate(pairs, 1)]
    others = [
        Team(i, count, [Link(other, "worker 0")])
        for i, (_, other) in enumerate(pairs, 1)
    ]
    return [Team(0, count, here), *others]


def together(
    work: Callable[..., Any], arguments: Sequence[Any], count: int
) -> Any:
    """Returns what the chief of `count` workers makes of a work."""
    chief, *others = teams(count)
    with ThreadPoolExecutor(count) as pool:
        parts = [pool.submit(work, team, *arguments) for team in others]
        try:
            result = work(chief, *arguments)
        finally:
            chief.end()
        for part in parts:
            assert isinstance(part.exception(60), PartDoneError)
    return result
