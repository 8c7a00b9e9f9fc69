"""How many heaps threads share."""

from __future__ import annotations

import ctypes
import os

_ARENA_MAX = -8  # M_ARENA_MAX of <malloc.h>


def limit_arenas(most: int | None = None) -> bool:
    """Lets threads share few heaps; by default as many as are processors.

    glibc gives every thread a heap, up to eight a processor, and each keeps
    what its largest request once took. Requests run in many threads, so a
    server grew for minutes before it had filled them all, and a client for as
    long as there were images. Users may say otherwise with MALLOC_ARENA_MAX
    (https://man7.org/linux/man-pages/man3/mallopt.3.html).

    Returns:
        Whether it had an effect: not without glibc.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_ARENA_MAX, most or max(2, os.cpu_count() or 1)))
