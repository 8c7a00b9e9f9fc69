"""Spans: data that arrives in numbered folders, all of them one data set.

    --folders 'arrived/span-{SPAN}/v{VERSION}'

names every span that is there, of each its newest version.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, TypeVar

from beam_jobs.errors import InputError
from beam_jobs.sources.find_sources import SourcePaths

SPAN, VERSION = "{SPAN}", "{VERSION}"

_T = TypeVar("_T")


def expand(sources: SourcePaths) -> tuple[SourcePaths, tuple[int, ...]]:
    """Replaces what is named with `{SPAN}` by all the spans that are there.

    Returns:
        The sources, and the numbers of the spans, ascending; none where no
        source is named so.

    Raises:
        InputError: no span is there, `{VERSION}` without `{SPAN}`, or an
            option that takes one path.
    """
    spans: set[int] = set()
    found: dict[str, Any] = {}
    for field in fields(sources):  # type: ignore[arg-type]
        value = getattr(sources, field.name)
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, str) and SPAN in value:
            raise InputError(f"{flag} takes one path; received: {value}")
        if isinstance(value, tuple):
            there = [_spans_of(flag, path) for path in value]
            found[field.name] = tuple(p for t in there for _, p in t)
            spans.update(number for t in there for number, _ in t if number)
    return replace(sources, **found), tuple(sorted(spans))


def _spans_of(flag: str, path: str) -> list[tuple[int, str]]:
    """Returns number and path of each span; number 0 for a plain path."""
    if SPAN not in path:
        if VERSION in path:
            raise InputError(f"{flag}: {VERSION} needs {SPAN}: {path}")
        return [(0, path)]
    newest: dict[int, tuple[int, str]] = {}
    for found in _matching(path):
        match = _pattern(path).fullmatch(found)
        if match is None:
            continue
        version = int(match.groupdict().get("version") or 0)
        span = int(match["span"])
        newest[span] = max(newest.get(span, (-1, "")), (version, found))
    if not newest:
        raise InputError(
            f"{flag}: no span is there; numbers from 1 are looked for in "
            f"place of {SPAN}; received: {path}"
        )
    return [(span, newest[span][1]) for span in sorted(newest)]


def _matching(path: str) -> Iterable[str]:
    pieces = re.split(r"(\{SPAN\}|\{VERSION\})", path)
    pattern = "".join(
        "*" if piece in (SPAN, VERSION) else glob.escape(piece)
        for piece in pieces
    )
    return sorted(glob.glob(pattern))


def _pattern(path: str) -> re.Pattern[str]:
    # Twice in a path, it is the same number.
    text = re.escape(path)
    for name, place in (("span", SPAN), ("version", VERSION)):
        escaped = re.escape(place)
        text = text.replace(escaped, rf"(?P<{name}>0*[1-9]\d*)", 1)
        text = text.replace(escaped, rf"(?P={name})")
    return re.compile(text)
