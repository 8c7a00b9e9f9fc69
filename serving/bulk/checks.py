"""Checks of sources that need no framework."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from beam_jobs import storage
from beam_jobs.errors import InputError

_WILDCARDS = "*?["


def check_named(sources: Iterable[str]) -> None:
    """Checks, before anything heavy is imported, that local ones are there.

    Raises:
        InputError: one is not.
    """
    for source in sources:
        if storage.is_remote(source) or os.path.exists(source):
            continue
        if not is_pattern(source):
            raise InputError(f"no such file or folder: {source}")
        if next(glob.iglob(source, recursive=True), None) is None:
            raise InputError(f"nothing matches {source}")


def is_pattern(source: str) -> bool:
    """Tells whether a source is a pattern of paths, not a path."""
    local = not storage.is_remote(source) and os.path.exists(source)
    return not local and any(letter in source for letter in _WILDCARDS)
