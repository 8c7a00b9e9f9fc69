"""Entries of COCO's lists: ids, names and classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.images.image_names import is_encodable


def has(entry: Any, *names: str) -> bool:
    """Tells whether an entry has ids or texts under these names."""
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), int | float | str) for name in names
    )


def id_of(value: Any) -> str:
    """Returns an id as all its spellings have it: 3, 3.0 and "3" are one."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def keys_of(categories: Sequence[Any]) -> dict[str, str]:
    """Returns the class key of each category, by its id."""
    return {
        id_of(name["id"]): class_key(name)
        for name in categories
        if has(name, "id", "name")
        and str(name["name"]).strip()
        and is_encodable(str(name["name"]))
    }


def class_key(category: dict[str, Any]) -> str:
    """Returns the class key of a category; LVIS names its WordNet synset."""
    name = str(category.get("synset") or category["name"]).strip()
    return name if WNID_PATTERN.fullmatch(name) else f"coco:{name}"
