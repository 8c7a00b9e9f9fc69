"""The names of images that are forgotten: ids and URLs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from beam_jobs.errors import InputError
from beam_jobs.files import text_files
from beam_jobs.images.image_names import download_name, is_url
from beam_jobs.labels.ledger import Source

_KINDS = tuple(sorted({f"{source.kind}/" for source in Source}))
# What a longer path or word goes on with; a full stop alone ends a sentence.
_BEFORE = re.compile(rb"[\w./\x80-\xff-]")
_AFTER = re.compile(rb"[\w/\x80-\xff-]|\.\w|\\u")


@dataclass
class Names:
    """Ids and URLs, as far as known.

    Attributes:
        texts: all of them; the URL of an id that holds one is among them.
    """

    texts: set[str] = field(default_factory=set)
    _needles: list[tuple[bytes, str]] = field(default_factory=list)

    def add(self, *texts: str) -> None:
        """Adds ids and URLs; an empty text is none."""
        for text in filter(None, texts):
            self.texts |= {text, *url_of(text)}
        self._needles = [
            (needle, text)
            for text in sorted(self.texts)
            # Also as JSON spells it.
            for needle in {text.encode(), json.dumps(text)[1:-1].encode()}
        ]

    def match(self, image_id: str, source_url: str = "") -> bool:
        """Tells whether a record is of one of the images."""
        names = (image_id, source_url, *url_of(image_id))
        return not self.texts.isdisjoint(names)

    @property
    def urls(self) -> set[str]:
        """Those that are URLs."""
        return {text for text in self.texts if is_url(text)}

    def match_paths(self, paths: Iterable[str]) -> list[bool]:
        """Tells which paths within a folder of images are one of them."""
        inside = {text.partition("/")[2] for text in self.texts}
        inside |= {download_name(url) for url in self.urls}
        # ImageNet's and Open Images' ids have no folder and no suffix.
        stems = {
            text.partition("/")[2]
            for text in self.texts
            if text.startswith(("imagenet/", "open_images/"))
        }
        found = []
        for path in paths:
            stem = os.path.splitext(path)[0]
            names = {path, stem, os.path.basename(stem)}
            found.append(
                bool(names & stems) or not inside.isdisjoint((path, stem))
            )
        return found

    def find_in(self, data: bytes) -> str | None:
        """Returns the first of them, in order, that bytes spell whole."""
        return next((t for n, t in self._needles if _has(data, n)), None)


def _has(data: bytes, needle: bytes) -> bool:
    at = data.find(needle)
    while at >= 0:
        end = at + len(needle)
        before, after = data[max(0, at - 1) : at], data[end : end + 2]
        # A URL begins where it begins, also within an id.
        longer = _BEFORE.match(before) and not is_url(needle[:8].decode())
        if not (longer or _AFTER.match(after)):
            return True
        at = data.find(needle, at + 1)
    return False


def url_of(image_id: str) -> tuple[str, ...]:
    """Returns the URL that an id holds, if it does.

    Example:
        >>> url_of("tencent/https://example.org/a.jpg"), url_of("csv/a.jpg")
        (('https://example.org/a.jpg',), ())
    """
    tail = image_id.partition("/")[2]
    return (tail,) if not is_url(image_id) and is_url(tail) else ()


def read_names(path: str) -> list[str]:
    """Returns the ids and URLs of a file, one a line, each once.

    Raises:
        InputError: a line that is neither (file:line), or no line at all.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(text_files.read_lines(path), 1):
        text = line.strip() if isinstance(line, str) else repr(line.detail)
        if text and not (is_url(text) or text.startswith(_KINDS)):
            raise InputError(
                f"{path}:{number}: an image id as csv/a.jpg or a URL is "
                f"needed; received: {text[:200]}"
            )
        if text:
            found[text] = None
    if not found:
        raise InputError(f"{path}: no image is named: an empty file")
    return list(found)


def say(texts: Iterable[str], most: int = 5) -> str:
    """Returns a few texts, and how many more there are."""
    listed = sorted(texts)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")
