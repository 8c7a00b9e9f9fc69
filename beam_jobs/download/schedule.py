"""What may be fetched next, so that no host is asked too often."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass
class _Host(Generic[Item]):
    waiting: deque[Item] = field(default_factory=deque)
    under_way: int = 0
    next_start: float = 0.0
    # It has an entry among the ready ones.
    listed: bool = False


class Schedule(Generic[Item]):
    """Hands out items in an order that keeps the limits of every host.

    Times are seconds on any clock that never goes back; the caller passes
    them in.

    Args:
        rate: starts a second and host; 0 is no limit.
        per_host: items of a host under way at a time; 0 is no limit.
    """

    def __init__(self, rate: float = 0.0, per_host: int = 0):
        self._interval = 1.0 / rate if rate else 0.0
        self._per_host = per_host
        self._hosts: dict[str, _Host[Item]] = {}
        self._ready: list[tuple[float, int, str]] = []
        self._later: list[tuple[float, int, str, Item]] = []
        self._order = 0
        self._waiting = 0

    def __len__(self) -> int:
        """Returns the number of items that wait."""
        return self._waiting

    def add(self, host: str, item: Item, not_before: float = 0.0) -> None:
        """Adds an item; one with a time comes first in its host's queue."""
        self._waiting += 1
        if not_before:
            entry = (not_before, self._next_order(), host, item)
            heapq.heappush(self._later, entry)
            return
        state = self._hosts.setdefault(host, _Host())
        state.waiting.append(item)
        self._list(host, state)

    def next(self, now: float) -> tuple[str, Item] | float | None:
        """Returns what may start, or how long to wait, seconds.

        Returns:
            (host, item), which is under way from now on; or the seconds until
            something may start; or None when nothing can start before `done`
            or `add` is called.
        """
        self._wake(now)
        while self._ready and self._ready[0][0] <= now:
            _, _, host = heapq.heappop(self._ready)
            state = self._hosts[host]
            state.listed = False
            if state.next_start > now:
                self._list(host, state)
                continue
            return host, self._start(host, state, now)
        times = [heap[0][0] for heap in (self._ready, self._later) if heap]
        return min(times) - now if times else None

    def done(self, host: str) -> None:
        """Says that an item of the host is under way no more."""
        state = self._hosts[host]
        state.under_way -= 1
        self._list(host, state)

    def pause(self, host: str, until: float) -> None:
        """Starts nothing of the host before a time."""
        state = self._hosts.setdefault(host, _Host())
        state.next_start = max(state.next_start, until)

    def reserve(self, host: str, now: float) -> float:
        """Takes the host's next start for a redirect; returns its time."""
        state = self._hosts.setdefault(host, _Host())
        start = max(now, state.next_start)
        state.next_start = start + self._interval
        return start

    def _start(self, host: str, state: _Host[Item], now: float) -> Item:
        item = state.waiting.popleft()
        state.under_way += 1
        state.next_start = now + self._interval
        self._waiting -= 1
        self._list(host, state)
        return item

    def _list(self, host: str, state: _Host[Item]) -> None:
        full = self._per_host and state.under_way >= self._per_host
        if state.listed or full or not state.waiting:
            return
        state.listed = True
        entry = (state.next_start, self._next_order(), host)
        heapq.heappush(self._ready, entry)

    def _wake(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            _, _, host, item = heapq.heappop(self._later)
            state = self._hosts.setdefault(host, _Host())
            state.waiting.appendleft(item)
            self._list(host, state)

    def _next_order(self) -> int:
        self._order += 1
        return self._order
