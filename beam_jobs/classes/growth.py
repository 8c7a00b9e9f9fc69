"""Growing a vocabulary: every class keeps its index for good.

Additions get new indices at the end, a removed class leaves a tombstone, and
a merged one sends its labels to another class. So a trained head can be kept
and extended, column by column.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace

from beam_jobs.classes.own_classes import check_class_id, is_own
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
_ADDITIONS_HEADER = ("wnid", "name", "parent")


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
    found: dict[str, str] = {}
    for line, (class_id, target) in (
        read_tsv(path, _MERGES_HEADER) if path else ()
    ):
        place = f"{path}:{line}"
        check_class_id(class_id, place)
        check_class_id(target, place)
        if class_id in found:
            raise InputError(f"{place}: a second row for {class_id}")
        found[class_id] = target
    return found


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


def read_additions(
    path: str | os.PathLike[str] | None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns names and parents by id from a TSV `wnid<TAB>name<TAB>parent`.

    A row without a name, or a file without that column, gives the name "". A
    parent is for a class of one's own: WordNet knows those of its own. None
    is empty.

    Raises:
        InputError: no such file, or a malformed or repeated row (file:line).
    """
    names: dict[str, str] = {}
    parents: dict[str, str] = {}
    if not path:
        return names, parents
    for line, row in read_tsv(path, _ADDITIONS_HEADER, optional=2):
        class_id, name, parent = (*row, "", "")[:3]
        place = f"{path}:{line}"
        for text in filter(None, (class_id or "no id", parent)):
            check_class_id(text, place)
        if class_id in names:
            raise InputError(f"{place}: a second row for {class_id}")
        if parent and not is_own(class_id):
            raise InputError(
                f"{place}: a parent is given to a class of one's own alone; "
                f"received: {parent} for {class_id}"
            )
        names[class_id] = name
        if parent:
            parents[class_id] = parent
    return names, parents
