"""What became of each class of the sources, and the table that says so."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from beam_jobs.classes import growth
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_map import ClassMap
from beam_jobs.classes.own_classes import (
    find_synset,
    is_own,
    name_of,
    own_id,
    plain_name,
)
from beam_jobs.files.text_files import read_tsv

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
    "labels",
    "images",
)
# An own class that the user named, by its id or in a class map.
_GIVEN = "given"
_GENERAL = frozenset({"reviewed_general", "hypernym"})
_OWN = ("own", "kind", "ambiguous", "foreign")
# Class keys that come from the cells of tables.
_OF_TABLES = ("csv:", "parquet:")
_GLOSS_WORDS = 12
# What a class map names and no source: its own parents.
MAPPED = "class_map:"


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
        names: by id, as the first source spells it; of several names that a
            class map joins under another id, the words of that id.
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
        others: dict[str, set[str]] = {}
        parents: dict[str, str] = {}
        for choice in choices:
            if find_synset(choice.wnid, wordnet) is None:
                # A comma parts the names of a class.
                name = plain_name(choice.display_name.replace(",", " "))
                if own_id(name) == choice.wnid:
                    names.setdefault(choice.wnid, name)
                elif not is_own(name):
                    others.setdefault(choice.wnid, set()).add(name)
                if choice.parent:
                    parents.setdefault(choice.wnid, choice.parent)
        for wnid, found in others.items():
            if len(found) == 1:
                names.setdefault(wnid, *found)
        for wnid in parents:
            growth.target_of(wnid, parents)
        return cls(names, parents)

    def name_of(self, wnid: str, wordnet) -> str:
        """Returns the names of any class."""
        return self.names.get(wnid) or name_of(wnid, wordnet)


def kinds_of_map(
    class_map: ClassMap, choices: Iterable[ClassChoice]
) -> list[ClassChoice]:
    """Returns rows of a class map for own parents that no source annotates."""
    choices = list(choices)
    known = {c.wnid for c in choices}
    kinds = class_map.kinds(c.parent for c in choices if c.parent)
    return [
        ClassChoice(
            MAPPED + name.removeprefix(MAPPED),
            name.removeprefix(MAPPED),
            class_id,
            "class_map",
            parent=class_map.rows[name].parent,
        )
        for class_id, name in sorted(kinds.items())
        if class_id not in known
    ]


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
    labels: Mapping[str, str] | None = None,
    images: Mapping[str, int] | None = None,
) -> None:
    """Writes the review table, tab-separated under a header.

    Args:
        choices: what `map_classes` found.
        path: the file.
        wordnet: as `load_wordnet` returns it.
        labels: by key, the class whose labels the images get; left out where
            they get none. None: each its own.
        images: annotated images by key, where they were counted.
    """
    wordnet = wordnet or wn.load_wordnet()
    rows: list[tuple[str, ...]] = [_CHOICES_HEADER]
    for c in choices:
        label = c.wnid if labels is None else labels.get(c.key, "")
        number = str(images.get(c.key, 0)) if images else ""
        rows.append((*_row(c, wordnet), label, number))
    text = "".join("\t".join(row) + "\n" for row in rows)
    Path(path).write_text(text, encoding="utf-8")


def read_choices(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Returns the rows of the review table, by column.

    Raises:
        InputError: no such file, or another one.
    """
    return [
        dict(zip(_CHOICES_HEADER, row, strict=False))
        for _, row in read_tsv(path, _CHOICES_HEADER, optional=3)
    ]


_SHOWN = 10
_SHORT = 10
_SAID_WORDS = 6
_READ = ("lemma", "inflected", "compound")
_LEAST_LISTS = 3
_OTHER_LANGUAGE = (
    "--names FILE reads them in another language, --class-map FILE (name, "
    "class, parent) says what they mean"
)


def summarise(rows: Sequence[Mapping[str, str]], place: str = "") -> list[str]:
    """Returns a few lines for the terminal on what the names became.

    Args:
        rows: as `read_choices` returns them.
        place: where the table lies, if it does.
    """
    rows = [r for r in rows if not r.get("key", "").startswith(MAPPED)]
    if not rows:
        return []
    kinds: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        kinds.setdefault(_kind_of(row), []).append(row)
    shared = [row for row in rows if row["merged_with"]]
    counted = [
        (kinds.get("exact", []), "exact"),
        ([r for k in (*_OWN, _GIVEN) for r in kinds.get(k, [])], "own classes"),
        (kinds.get("general", []), "more general"),
        (shared, "share a class"),
        (kinds.get("without", []), "without"),
    ]
    parts = [f"{len(f)} {what}" for f, what in counted if f or what == "exact"]
    see = f"; see {place}" if place else ""
    noun = "name" if len(rows) == 1 else "names"
    lines = [f"{len(rows)} {noun}: {', '.join(parts)}{see}"]
    for kind, what in _SAID.items():
        if kind in kinds:
            lines.append(f"  {what}: {_listed(kinds[kind])}")
    return [*lines, *_glosses(rows), *_advice(rows, kinds)]


def _glosses(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Returns a line on what a few names were read as, in a short list.

    There a word of another language may be English by chance.
    """
    read = [r for r in rows if r["rule"] in _READ and r.get("gloss")]
    if not read or len(rows) >= _SHORT:
        return []
    said = [f"{r['display_name']} ({_start_of(r['gloss'])})" for r in read]
    return [f"  read as English: {', '.join(said)}"]


def _start_of(gloss: str) -> str:
    words = re.split(r"[(;,]", gloss)[0].split()
    return " ".join(words[:_SAID_WORDS] + ["..."] * (len(words) > _SAID_WORDS))


# What is said of names by what became of them, in this order.
_SAID = {
    "without": "without a class",
    "own": "not in WordNet, own classes",
    "foreign": "not read as English, own classes",
    "ambiguous": "several senses, own classes",
    "kind": "own classes below their kind",
}


def _kind_of(row: Mapping[str, str]) -> str:
    if not row.get("labels", row["wnid"]):
        return "without"
    if row["rule"] in _OWN:
        return row["rule"]
    if is_own(row["wnid"]):
        return _GIVEN
    return "general" if row["rule"] in _GENERAL else "exact"


def _advice(
    rows: Sequence[Mapping[str, str]],
    kinds: Mapping[str, Sequence[Mapping[str, str]]],
) -> list[str]:
    words = [r for r in rows if r["rule"] not in ("class_map", "override")]
    names = [r["display_name"] for r in words]
    if names and all(name.isdecimal() for name in names):
        return ["  all names are numbers: --class-names FILE names them"]
    if joined := _joined(names):
        return [
            f"  labels with blanks between? {', '.join(joined[:_SHOWN])}: "
            "--label-separator blank takes cells apart at them"
        ]
    read = [r for r in words if r["rule"] == "names"]
    lost = [r for k in ("own", "foreign", "without") for r in kinds.get(k, ())]
    if read:
        return [f"  the files of --names cover {len(read)} of {len(words)}"]
    if "foreign" in kinds or len(lost) == len(rows):
        many = "none of the names is" if len(lost) == len(rows) else "few are"
        return [f"  {many} English (WordNet): {_OTHER_LANGUAGE}"]
    if lost or "ambiguous" in kinds:
        return ["  --class-map FILE gives them another class or parent"]
    return []


def _joined(names: Sequence[str]) -> list[str]:
    """Returns names that look like several labels with blanks between.

    So do those that consist of others (`dog cat`); and all of several words,
    where most have several and each word stands in several names.
    """
    counts = Counter(word for name in names for word in set(name.split()))
    several = [
        name
        for name in names
        if len(words := name.split()) > 1 and all(counts[w] > 1 for w in words)
    ]
    if len(several) >= _LEAST_LISTS and 2 * len(several) > len(names):
        return several
    return [n for n in several if set(n.split()) <= set(names)]


def joined_names(choices: Iterable[ClassChoice]) -> list[str]:
    """Returns names of tables that WordNet lacks and that consist of others.

    `dog cat` where there are a dog and a cat: nothing tells whether it is one
    label or two.
    """
    found = [c for c in choices if c.key.startswith(_OF_TABLES)]
    names = {c.display_name for c in found}
    return sorted(
        c.display_name
        for c in found
        if c.rule in _OWN
        and " " in c.display_name
        and names.issuperset(c.display_name.split())
    )


def _listed(rows: Sequence[Mapping[str, str]]) -> str:
    """Returns names with their images, the most frequent first."""
    counts = [(int(r.get("images") or 0), r["display_name"]) for r in rows]
    counts.sort(key=lambda c: (-c[0], c[1]))
    shown = [f"{name} ({n})" if n else name for n, name in counts[:_SHOWN]]
    more = f" and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else ""
    return ", ".join(shown) + more


def _row(choice: ClassChoice, wordnet) -> tuple[str, ...]:
    synset = find_synset(choice.wnid, wordnet)
    gloss = synset.definition().split() if synset else []
    others = [
        f"{w} {wn.names_of(wn.synset_of(w, wordnet)).split(', ')[0]}"
        for w in choice.alternatives
    ]
    return (
        plain_name(choice.key),
        plain_name(choice.display_name),
        choice.wnid,
        choice.rule,
        "; ".join(others),
        " ".join(choice.merged_with),
        wn.names_of(synset) if synset else "",
        " ".join(gloss[:_GLOSS_WORDS]),
        choice.parent,
    )
