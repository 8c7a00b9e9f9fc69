"""A progress bar over a Beam job that runs in this process.

A job on other machines, or in other processes, shows nothing here: its runner
has a monitor of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from tqdm import tqdm

_lock = threading.Lock()
_bar: tqdm | None = None


@contextlib.contextmanager
def bar(description: str, unit: str, enabled: bool = True) -> Iterator[None]:
    """Shows a bar that `advance` moves, until the block ends."""
    global _bar
    with tqdm(
        desc=description,
        unit=f" {unit}",
        mininterval=0.5,
        # None: only on a terminal, so that logs stay readable.
        disable=None if enabled else True,
    ) as shown:
        _bar = shown
        try:
            yield
        finally:
            _bar = None


def advance(count: int = 1) -> None:
    """Counts finished items; does nothing where no bar is shown."""
    if _bar is not None:
        with _lock:
            _bar.update(count)
