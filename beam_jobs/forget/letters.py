"""Files of JSON lines, without the lines that name an image."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from beam_jobs.files import storage
from beam_jobs.forget.names import Names


def forget_lines(
    source: str,
    final: str,
    names: Names,
    is_of: Callable[[Mapping[str, Any]], bool],
) -> int:
    """Writes the lines that name none of the images; returns the others' count.

    A file without a line left is not written, and removed if it is there.

    Args:
        source: file of JSON objects, a line each.
        final: where it goes; `source` itself is replaced in one step.
        names: of the images.
        is_of: tells whether a line is of one of them; the others are searched
            for their names as text.
    """
    lines = storage.read_text(source).splitlines(keepends=True)
    kept = [line for line in lines if not is_of(_parse(line))]
    # One search for most files: of a line each it takes long.
    if names.find_in("".join(kept).encode()):
        kept = [line for line in kept if not names.find_in(line.encode())]
    if len(kept) < len(lines) or final != source:
        if kept:
            storage.write_text(final, "".join(kept))
        else:
            storage.remove(final)
    return len(lines) - len(kept)


def is_value_of(names: Names, key: str) -> Callable[[Mapping], bool]:
    """Returns a test of lines by the id or URL under a key."""
    return lambda line: names.match(str(line.get(key, "")))


def _parse(line: str) -> Mapping[str, Any]:
    try:
        content = json.loads(line)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def letters_in(folder: str) -> list[str]:
    """Returns the files of dead letters in a folder, sorted."""
    if not os.path.isdir(folder):
        return []
    return sorted(
        os.path.join(folder, name)
        for name in os.listdir(folder)
        if name.endswith(".jsonl")
    )
