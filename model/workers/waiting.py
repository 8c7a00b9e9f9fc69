"""How long a worker waits for others, and what it says meanwhile."""

from __future__ import annotations

import sys
import time

from model.workers.cluster import Workers
from model.workers.endings import WorkerLostError

# When the wait is told, and how often again.
_FIRST_WORD, _NEXT_WORD = 5.0, 60.0
# Of the workers that are awaited.
_NAMED = 8


class Wait:
    """Tells who is awaited, now and then, and ends the wait.

    Args:
        end: of it, as of `time.monotonic`.

    Attributes:
        problem: why the last try did not find the other.
    """

    def __init__(self, workers: Workers, end: float):
        self.workers = workers
        self.problem = ""
        self._end = end
        self._next_word = time.monotonic() + _FIRST_WORD

    def go_on(self, missing: str) -> None:
        """Raises WorkerLostError if the time is over."""
        now = time.monotonic()
        if self.problem:
            missing = f"{missing} ({self.problem})"
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
        named = [self.workers.name(i) for i in indices[:_NAMED]]
        more = len(indices) - len(named)
        return ", ".join(named) + (f" and {more} more" if more else "")
