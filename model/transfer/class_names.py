"""What synsets are called, for classes that folders or tars name by ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from beam_jobs.classes.own_classes import plain_name
from beam_jobs.classes.wordnet import load_wordnet, names_of, synset_of
from beam_jobs.errors import InputError

# As ImageNet and ILSVRC on Kaggle come: id, names.
LISTS = ("words.txt", "LOC_synset_mapping.txt")
_ROW = re.compile(r"(n\d{8})\s+(\S.*)")


def names_of_synsets(wnids: Iterable[str], near: Path) -> dict[str, str]:
    """Returns the names of synsets: of a list, else WordNet's, else the id.

    Args:
        near: a folder; the list is in it or beside it.
    """
    names = _listed(near)
    return {wnid: names.get(wnid) or _in_wordnet(wnid) for wnid in wnids}


def _listed(near: Path) -> dict[str, str]:
    near = near.absolute()
    paths = [f / name for f in (near, near.parent) for name in LISTS]
    found = next((p for p in paths if p.is_file()), None)
    if found is None:
        return {}
    text = found.read_text(encoding="utf-8", errors="replace")
    rows = (_ROW.fullmatch(line.strip()) for line in text.splitlines())
    return {row[1]: plain_name(row[2]) for row in rows if row}


def _in_wordnet(wnid: str) -> str:
    try:
        return names_of(synset_of(wnid, load_wordnet()))
    except InputError:
        return wnid
