"""The classes that the scenes show: WordNet ids, names, drawings, themes.

The rows are in `catalogue.tsv`. Every class is a WordNet 3.0 noun synset, and
none is an ancestor of another, so that each one is a leaf of the hierarchy.
"""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

CATALOGUE_PATH = Path(__file__).with_name("catalogue.tsv")

# The digits of real Open Images label names, which are Freebase MIDs.
_MID_DIGITS = "0123456789bcdfghjklmnpqrstvwxyz_"


@dataclass(frozen=True)
class SceneClass:
    """One class of the scenes.

    Attributes:
        wnid: WordNet 3.0 noun id, as `n02084071`.
        name: the common English name, as Open Images writes it.
        names: all names of the synset, as ImageNet's lists write them.
        glyphs: the characters of the OpenMoji font that show the class.
        themes: the surroundings it is drawn in, the most typical first.
    """

    wnid: str
    name: str
    names: str
    glyphs: tuple[str, ...]
    themes: tuple[str, ...]

    @property
    def label_name(self) -> str:
        """The Open Images label name: a MID that the wnid alone decides."""
        return mid_of(self.wnid)


def mid_of(wnid: str) -> str:
    """Returns a label name in the form of a Freebase MID, as `/m/01zpzj`."""
    number, digits = int(wnid[1:]), ""
    while number:
        number, digit = divmod(number, len(_MID_DIGITS))
        digits = _MID_DIGITS[digit] + digits
    return f"/m/0{digits}"


@functools.lru_cache(maxsize=1)
def load_catalogue() -> tuple[SceneClass, ...]:
    """Returns the classes of `catalogue.tsv`, sorted by wnid."""
    with CATALOGUE_PATH.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        classes = [_parse_row(row) for row in rows]
    return tuple(sorted(classes, key=lambda c: c.wnid))


def _parse_row(row: dict[str, str]) -> SceneClass:
    return SceneClass(
        wnid=row["wnid"],
        name=row["name"],
        names=row["names"],
        glyphs=tuple(chr(int(c, 16)) for c in row["codepoints"].split()),
        themes=tuple(row["themes"].split()),
    )


@functools.lru_cache(maxsize=1)
def classes_of_themes() -> dict[str, tuple[SceneClass, ...]]:
    """Returns theme -> its classes, both in sorted order."""
    themes = sorted({t for c in load_catalogue() for t in c.themes})
    return {
        theme: tuple(c for c in load_catalogue() if theme in c.themes)
        for theme in themes
    }
