"""Tags as words, and as paths down the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from serving.api.prediction import Tag


class Word(NamedTuple):
    """A tag as a sidecar has it.

    Attributes:
        name: the tag's.
        path: names from a root down to the tag, itself the last.
    """

    name: str
    path: tuple[str, ...]


def words(
    tags: Iterable[Tag], look_up: Callable[[str], Tag | None]
) -> list[Word]:
    """Returns tags with their paths; of several parents the first counts.

    Args:
        look_up: returns a class by its id, one that may be no tag; None for
            one that is not known, where the path begins below it.
    """
    tags = list(tags)
    known = {tag.wnid: tag for tag in tags}
    found = []
    for tag in tags:
        path, above = [_plain(tag.name)], tag.parents
        seen = {tag.wnid}
        # A server of somebody else may say that two are above each other.
        while above and above[0] not in seen:
            seen.add(above[0])
            parent = known.get(above[0]) or look_up(above[0])
            if parent is None:
                break
            path.append(_plain(parent.name))
            above = parent.parents
        found.append(Word(path[0], tuple(reversed(path))))
    return found


def _plain(name: str) -> str:
    # XML has no control characters.
    return "".join(c for c in name if c.isprintable())
