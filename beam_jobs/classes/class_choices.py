"""What became of each class of the sources, and the table that says so."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from beam_jobs.classes import growth
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.own_classes import find_synset, name_of

_CHOICES_HEADER = (
    "key",
    "display_name",
    "wnid",
    "rule",
    "alternatives",
    "merged_with",
    "synset",
    "gloss",
    "parent",
)
_GENERAL = frozenset({"reviewed_general", "hypernym"})
_OWN = frozenset({"own", "kind", "ambiguous"})
_GLOSS_WORDS = 12


@dataclass(frozen=True)
class ClassChoice:
    """What one class became.

    Attributes:
        key: `oi:/m/0bt9lr`, `coco:hot dog`.
        display_name: its English name.
        wnid: the synset chosen, or the id of a class of one's own; "" if the
            class is left out.
        rule: the rule that chose it; `none` if none did.
        alternatives: the other senses considered, best first.
        merged_with: other keys that became the same class, sorted.
        parent: of a class that WordNet lacks, what it is a kind of; "" if
            that is not known.
    """

    key: str
    display_name: str
    wnid: str
    rule: str
    alternatives: tuple[str, ...] = ()
    merged_with: tuple[str, ...] = ()
    parent: str = ""

    @property
    def exact(self) -> bool:
        """Whether the class chosen means no more than the name."""
        return bool(self.wnid) and self.rule not in _GENERAL

    @property
    def is_own(self) -> bool:
        """Whether it became a class of one's own by want of a sure synset."""
        return self.rule in _OWN


@dataclass(frozen=True)
class OwnClasses:
    """What is known of classes that WordNet lacks.

    Attributes:
        names: by id, as the first source spells it.
        parents: id of the parent by id; none for a root.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, choices: Iterable[ClassChoice], wordnet) -> OwnClasses:
        """Collects them from what `map_classes` found.

        Raises:
            InputError: parents that lead in a circle.
        """
        names: dict[str, str] = {}
        parents: dict[str, str] = {}
        for choice in choices:
            if find_synset(choice.wnid, wordnet) is None:
                # A comma parts the names of a class, a tab the columns.
                name = " ".join(choice.display_name.replace(",", " ").split())
                names.setdefault(choice.wnid, name)
                if choice.parent:
                    parents.setdefault(choice.wnid, choice.parent)
        for wnid in parents:
            growth.target_of(wnid, parents)
        return cls(names, parents)

    def name_of(self, wnid: str, wordnet) -> str:
        """Returns the names of any class."""
        return self.names.get(wnid) or name_of(wnid, wordnet)


def note_merges(choices: list[ClassChoice]) -> list[ClassChoice]:
    """Returns the choices, each with the keys that share its class."""
    keys: dict[str, list[str]] = {}
    for choice in choices:
        keys.setdefault(choice.wnid, []).append(choice.key)
    return [
        replace(c, merged_with=tuple(k for k in keys[c.wnid] if k != c.key))
        if c.wnid
        else c
        for c in choices
    ]


def save_choices(
    choices: Iterable[ClassChoice],
    path: str | os.PathLike[str],
    wordnet=None,
) -> None:
    """Writes the review table, tab-separated under a header."""
    wordnet = wordnet or wn.load_wordnet()
    rows = [_CHOICES_HEADER, *(_row(c, wordnet) for c in choices)]
    text = "".join("\t".join(row) + "\n" for row in rows)
    Path(path).write_text(text, encoding="utf-8")


def _row(choice: ClassChoice, wordnet) -> tuple[str, ...]:
    synset = find_synset(choice.wnid, wordnet)
    gloss = synset.definition().split() if synset else []
    others = [
        f"{w} {wn.names_of(wn.synset_of(w, wordnet)).split(', ')[0]}"
        for w in choice.alternatives
    ]
    return (
        choice.key,
        # A name with a tab in it would make another column.
        " ".join(choice.display_name.split()),
        choice.wnid,
        choice.rule,
        "; ".join(others),
        " ".join(choice.merged_with),
        wn.names_of(synset) if synset else "",
        " ".join(gloss[:_GLOSS_WORDS]),
        choice.parent,
    )
