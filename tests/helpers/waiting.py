"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable

# How long a test waits for what must come: a machine may be busy with other
# things, and who waits longer loses nothing but on failure.
LIMIT_S = 300.0


def wait_until(
    condition: Callable[[], object], limit_s: float = LIMIT_S
) -> None:
    """Looks often; fails where the condition does not become true."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
