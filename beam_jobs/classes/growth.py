"""Growing a vocabulary: every class keeps its index for good.

Additions get new indices at the end, a removed class leaves a tombstone, and
a merged one sends its labels to another class. So a trained head can be kept
and extended, column by column.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from beam_jobs.classes.own_classes import check_class_id
from beam_jobs.classes.vocabulary import (
    ACTIVE,
    MERGED,
    REMOVED,
    TagClass,
    Vocabulary,
)
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv

_MERGES_HEADER = ("wnid", "into")
_REMOVALS_HEADER = ("wnid",)
_ADDITIONS_HEADER = ("wnid", "name")


def grow(
    vocabulary: Vocabulary,
    added: Mapping[str, str] | None = None,
    removed: Iterable[str] = (),
    merged: Mapping[str, str] | None = None,
) -> Vocabulary:
    """Returns a vocabulary in which every old class has its old index.

    Args:
        vocabulary: what there is.
        added: names by wnid, new indices in this order. A removed or merged
            class that is added again gets its index back.
        removed: wnids that get no labels any more.
        merged: target wnid by wnid.

    Raises:
        InputError: an active class is added, an unknown one removed or
            merged, one is removed and merged, or merges lead to a removed
            class or in a circle.
    """
    added, merged, removed = added or {}, merged or {}, list(removed)
    classes = {c.wnid: c for c in vocabulary}
    for wnid, name in added.items():
        old = classes.get(wnid)
        if old is not None and old.is_active:
            raise InputError(
                f"class {wnid} ({old.display_name}) is in the vocabulary "
                "already; take it out of the additions"
            )
        classes[wnid] = (
            TagClass(len(classes), wnid, name)
            if old is None
            else replace(old, status=ACTIVE)
        )
    for wnid in removed:
        _change(classes, wnid, REMOVED, "removed")
    for wnid, target in merged.items():
        if wnid in removed:
            raise InputError(f"class {wnid} is both removed and merged")
        _change(classes, wnid, f"{MERGED}{target}", "merged")
    return Vocabulary(classes.values())


def _change(
    classes: dict[str, TagClass], wnid: str, status: str, verb: str
) -> None:
    if wnid not in classes:
        raise InputError(
            f"class {wnid} cannot be {verb}: it is not in the vocabulary of "
            f"{len(classes)} classes"
        )
    classes[wnid] = replace(classes[wnid], status=status)


def target_of(wnid: str, merges: Mapping[str, str]) -> str:
    """Follows merges to the end.

    Raises:
        InputError: they lead in a circle.
    """
    passed = [wnid]
    while wnid in merges:
        wnid = merges[wnid]
        if wnid in passed:
            raise InputError(
                "classes are merged in a circle: "
                f"{' -> '.join([*passed, wnid])}"
            )
        passed.append(wnid)
    return wnid


def read_merges(path: str | os.PathLike[str] | None) -> dict[str, str]:
    """Returns target wnid by wnid from a TSV `wnid<TAB>into`; None is empty.

    Raises:
        InputError: no such file, or a malformed or repeated row (file:line).
    """
    return _read_pairs(path, _MERGES_HEADER) if path else {}


def read_removals(path: str | os.PathLike[str] | None) -> list[str]:
    """Returns the wnids of a TSV with the one column `wnid`; None is empty.

    Raises:
        InputError: no such file, or a malformed row (file:line).
    """
    if not path:
        return []
    rows = read_tsv(path, _REMOVALS_HEADER)
    for line, (wnid,) in rows:
        check_class_id(wnid, f"{path}:{line}")
    return list(dict.fromkeys(wnid for _, (wnid,) in rows))


def read_additions(path: str | os.PathLike[str] | None) -> dict[str, str]:
    """Returns names by wnid from a TSV `wnid<TAB>name`; None is empty.

    A row without a name, or a file without that column, gives "".

    Raises:
        InputError: no such file, or a malformed or repeated row (file:line).
    """
    return _read_pairs(path, _ADDITIONS_HEADER, optional=1) if path else {}


def _read_pairs(
    path: str | os.PathLike[str], header: tuple[str, ...], optional: int = 0
) -> dict[str, str]:
    found: dict[str, str] = {}
    for line, row in read_tsv(path, header, optional):
        place = f"{path}:{line}"
        check_class_id(row[0], place)
        if not optional:
            check_class_id(row[1], place)
        if row[0] in found:
            raise InputError(f"{place}: a second row for {row[0]}")
        found[row[0]] = row[1] if len(row) > 1 else ""
    return found
