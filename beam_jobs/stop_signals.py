"""SIGTERM and Ctrl-C, by which a process is asked to end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stop_signals_to(
    handler: Callable[[int, Any], object], also: Sequence[int] = ()
) -> Iterator[None]:
    """Calls a handler at both signals while the block runs.

    Args:
        also: numbers of further signals.

    Raises:
        ValueError: Python lets the main thread alone take signals.
    """
    before = {n: signal.signal(n, handler) for n in (*STOP_SIGNALS, *also)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
