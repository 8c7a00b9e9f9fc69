"""The classes a tagger knows: index <-> id <-> names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from beam_jobs.classes.own_classes import check_class_id, is_class_id
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import parse_index, read_tsv

_HEADER = ("index", "wnid", "name", "status")

ACTIVE = "active"
REMOVED = "removed"
MERGED = "merged:"


@dataclass(frozen=True)
class TagClass:
    """One class.

    Attributes:
        index: column of the class in every score vector.
        wnid: WordNet 3.0 id, `n02084071`, or `own:stop_sign` of a class that
            WordNet lacks. The key: 262 of the 11,166 published names belong
            to several classes.
        name: all its names, separated by `, ` as in ImageNet's lists.
        status: `active`; `removed`: the index stays, is never given to
            another class and gets no labels; `merged:<wnid>`: its labels go
            to that class.
    """

    index: int
    wnid: str
    name: str
    status: str = ACTIVE

    @property
    def is_active(self) -> bool:
        """Whether the class itself gets labels."""
        return self.status == ACTIVE

    @property
    def merged_into(self) -> str:
        """The wnid of the class that has its labels; "" if none has."""
        if not self.status.startswith(MERGED):
            return ""
        return self.status.removeprefix(MERGED)

    @property
    def display_name(self) -> str:
        """The first of the names."""
        return self.name.split(", ")[0]


class Vocabulary:
    """An ordered set of classes, keyed by WordNet id.

    Its length and its order are those of a score vector: a class that was
    removed or merged keeps its column. `in` and `index_of` follow merges and
    do not know removed classes.

    Args:
        classes: in index order, indices 0 to n - 1, no wnid twice.

    Raises:
        InputError: empty, a repeated or malformed wnid, a gap, an unknown
            status, or a merge that leads nowhere or in a circle.
    """

    def __init__(self, classes: Iterable[TagClass]):
        self.classes = tuple(classes)
        if not self.classes:
            raise InputError("a vocabulary needs at least one class")
        for position, tag_class in enumerate(self.classes):
            _check_class(tag_class, position)
        by_wnid = {c.wnid: c for c in self.classes}
        if len(by_wnid) != len(self.classes):
            raise InputError(
                "an id stands twice in the vocabulary: "
                f"{_first_repeated(c.wnid for c in self.classes)}"
            )
        self._index_by_wnid = {
            c.wnid: _resolve(c, by_wnid).index
            for c in self.classes
            if c.status != REMOVED
        }
        if not self.active:
            raise InputError("a vocabulary needs at least one active class")

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[TagClass]:
        return iter(self.classes)

    def __getitem__(self, index: int) -> TagClass:
        return self.classes[index]

    def __contains__(self, wnid: str) -> bool:
        return wnid in self._index_by_wnid

    @cached_property
    def active(self) -> tuple[TagClass, ...]:
        """The classes that get labels, in index order."""
        return tuple(c for c in self.classes if c.is_active)

    def index_of(self, wnid: str) -> int:
        """Returns the index of a wnid; of a merged class, its target's.

        Raises:
            InputError: the vocabulary lacks it, or it was removed.
        """
        try:
            return self._index_by_wnid[wnid]
        except KeyError:
            raise InputError(
                f"class {wnid} is not in the vocabulary of {len(self)} classes"
            ) from None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all indices, ids, names and statuses."""
        digest = hashlib.sha256()
        for c in self.classes:
            # Without it where all are active, as before there were statuses.
            status = "" if c.is_active else f"\t{c.status}"
            digest.update(f"{c.index}\t{c.wnid}\t{c.name}{status}\n".encode())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `index wnid name status` lines, by tabs, under a header."""
        rows = ["\t".join(_HEADER)]
        rows += [
            f"{c.index}\t{c.wnid}\t{c.name}\t{c.status}" for c in self.classes
        ]
        Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads what `save` wrote, with or without the last column.

        Raises:
            InputError: no such file, or a malformed line (file:line).
        """
        rows = read_tsv(path, _HEADER, optional=1)
        return cls(
            TagClass(parse_index(row[0], path, line), *row[1:])
            for line, row in rows
        )


def _check_class(tag_class: TagClass, position: int) -> None:
    if tag_class.index != position:
        raise InputError(
            f"class indices run from 0 without gaps: {position} expected; "
            f"received: {tag_class.index} ({tag_class.wnid})"
        )
    check_class_id(tag_class.wnid, f"class {position}")
    _check_status(tag_class)


def _check_status(tag_class: TagClass) -> None:
    known = tag_class.status in (ACTIVE, REMOVED)
    if not known and not is_class_id(tag_class.merged_into):
        raise InputError(
            f"a status is {ACTIVE}, {REMOVED} or {MERGED}<class id>; "
            f"received: {tag_class.status!r} ({tag_class.wnid})"
        )


def _resolve(tag_class: TagClass, by_wnid: Mapping[str, TagClass]) -> TagClass:
    """Follows merges to the class that gets the labels."""
    passed = [tag_class.wnid]
    while tag_class.merged_into:
        target = by_wnid.get(tag_class.merged_into)
        if target is None or target.status == REMOVED:
            raise InputError(
                f"class {tag_class.wnid} is merged into "
                f"{tag_class.merged_into}, which the vocabulary lacks or has "
                "removed; merge into an active class"
            )
        if target.wnid in passed:
            raise InputError(
                "classes are merged in a circle: "
                f"{' -> '.join([*passed, target.wnid])}"
            )
        passed.append(target.wnid)
        tag_class = target
    return tag_class


def _first_repeated(items: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(i for i in items if i in seen or seen.add(i))  # type: ignore[func-returns-value]
