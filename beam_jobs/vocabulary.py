"""The classes a tagger knows: index <-> WordNet id <-> names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.wordnet import WNID_PATTERN

_HEADER = ("index", "wnid", "name")


@dataclass(frozen=True)
class TagClass:
    """One class.

    Attributes:
        index: column of the class in every score vector.
        wnid: WordNet 3.0 id, `n02084071`. The key: 262 of the 11,166
            published names belong to several classes.
        name: all its names, separated by `, ` as in ImageNet's lists.
    """

    index: int
    wnid: str
    name: str

    @property
    def display_name(self) -> str:
        """The first of the names."""
        return self.name.split(", ")[0]


class Vocabulary:
    """An ordered set of classes, keyed by WordNet id.

    Args:
        classes: in index order, indices 0 to n - 1, no wnid twice.

    Raises:
        InputError: empty, a repeated or malformed wnid, or a gap.
    """

    def __init__(self, classes: Iterable[TagClass]):
        self.classes = tuple(classes)
        if not self.classes:
            raise InputError("a vocabulary needs at least one class")
        for position, tag_class in enumerate(self.classes):
            _check_class(tag_class, position)
        if len(self._index_by_wnid) != len(self.classes):
            raise InputError(
                "a WordNet id stands twice in the vocabulary: "
                f"{_first_repeated(c.wnid for c in self.classes)}"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[TagClass]:
        return iter(self.classes)

    def __getitem__(self, index: int) -> TagClass:
        return self.classes[index]

    def __contains__(self, wnid: str) -> bool:
        return wnid in self._index_by_wnid

    @cached_property
    def _index_by_wnid(self) -> dict[str, int]:
        return {c.wnid: c.index for c in self.classes}

    def index_of(self, wnid: str) -> int:
        """Returns the index of a wnid.

        Raises:
            InputError: the vocabulary lacks it.
        """
        try:
            return self._index_by_wnid[wnid]
        except KeyError:
            raise InputError(
                f"class {wnid} is not in the vocabulary of {len(self)} classes"
            ) from None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all indices, ids and names."""
        digest = hashlib.sha256()
        for c in self.classes:
            digest.update(f"{c.index}\t{c.wnid}\t{c.name}\n".encode())
        return digest.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `index<TAB>wnid<TAB>name` lines under a header."""
        rows = ["\t".join(_HEADER)]
        rows += [f"{c.index}\t{c.wnid}\t{c.name}" for c in self.classes]
        Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads what `save` wrote.

        Raises:
            InputError: no such file, or a malformed line (file:line).
        """
        rows = read_tsv(path, _HEADER)
        return cls(
            TagClass(parse_index(row[0], path, line), row[1], row[2])
            for line, row in rows
        )


def read_tsv(
    path: str | os.PathLike[str], header: tuple[str, ...]
) -> list[tuple[int, list[str]]]:
    """Returns (line number, fields) of a TSV file with exactly this header.

    Raises:
        InputError: no such file, not UTF-8, another header, or a line with
            another number of fields (file:line).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {path}")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason})") from error
    found = lines[0].split("\t") if lines else []
    if tuple(found) != header:
        raise InputError(
            f"{path}:1: the header must be {'<TAB>'.join(header)!r}; "
            f"received: {lines[0] if lines else 'an empty file'!r}"
        )
    rows = [(n, line.split("\t")) for n, line in enumerate(lines[1:], start=2)]
    for number, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"{path}:{number}: {len(header)} fields separated by tabs "
                f"are needed; received: {len(row)}"
            )
    return rows


def parse_index(text: str, path: str | os.PathLike[str], line: int) -> int:
    """Returns a whole number.

    Raises:
        InputError: it is none (file:line).
    """
    try:
        return int(text)
    except ValueError:
        raise InputError(
            f"{path}:{line}: a whole number is needed; received: {text!r}"
        ) from None


def _check_class(tag_class: TagClass, position: int) -> None:
    if tag_class.index != position:
        raise InputError(
            f"class indices run from 0 without gaps: {position} expected; "
            f"received: {tag_class.index} ({tag_class.wnid})"
        )
    if not WNID_PATTERN.fullmatch(tag_class.wnid):
        raise InputError(
            "a WordNet id is 'n' and 8 digits, as n02084071; "
            f"received: {tag_class.wnid!r} (class {position})"
        )


def _first_repeated(items: Iterable[str]) -> str:
    seen: set[str] = set()
    return next(i for i in items if i in seen or seen.add(i))  # type: ignore[func-returns-value]
