"""What the user says a name means: class maps and overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.own_classes import (
    check_class_id,
    is_own,
    normalise,
    own_id,
    plain_name,
)
from beam_jobs.errors import InputError

OVERRIDES_CSV = "wordnet-overrides.csv"
_OVERRIDE_HEADER = ["LabelName", "WordNetId"]
MAP_HEADER = ("name", "class", "parent")
_SHOWN = 5


@dataclass(frozen=True)
class MapRow:
    """What a name becomes.

    Attributes:
        class_id: a WordNet id or an own id; "" leaves it out.
        parent: of an own class, what it is a kind of; "" for none.
    """

    class_id: str
    parent: str = ""


@dataclass(frozen=True)
class ClassMap:
    """Rows by key (`csv:dog`), by what follows its colon, or by name.

    Attributes:
        rows: by key, or by name in any spelling that `normalise` makes one.
        places: file and line of each, for messages.
    """

    rows: Mapping[str, MapRow] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)

    def row_of(self, key: str, name: str) -> MapRow | None:
        """Returns the row of a class; one for its key goes first."""
        for text in _spellings(key, name):
            if text and text in self.rows:
                return self.rows[text]
        return None

    def unused(self, names: Mapping[str, str]) -> dict[str, str]:
        """Returns the name by file and line of rows that name no class.

        Args:
            names: of all classes, by key.
        """
        used = {t for key, name in names.items() for t in _spellings(key, name)}
        return {
            place: texts[0]
            for place, texts in self._texts.items()
            if used.isdisjoint(texts)
        }

    def kinds(self, parents: Iterable[str]) -> dict[str, str]:
        """Returns names by class id, of own classes that are parents.

        A parent may have a row that no source needs, with a parent of its
        own: `toy vehicle`, `own:toy_vehicle`, `n04524313`.

        Args:
            parents: ids.
        """
        named: dict[str, str] = {}
        for texts in self._texts.values():
            named.setdefault(self.rows[texts[0]].class_id, texts[0])
        found: dict[str, str] = {}
        waiting = list(parents)
        while waiting:
            class_id = waiting.pop()
            if is_own(class_id) and class_id in named.keys() - found.keys():
                found[class_id] = named[class_id]
                waiting.append(self.rows[named[class_id]].parent)
        return found

    @cached_property
    def _texts(self) -> dict[str, list[str]]:
        """The spellings of each row by its place, the first as it stands."""
        texts: dict[str, list[str]] = {}
        for text, place in self.places.items():
            texts.setdefault(place, []).append(text)
        return texts

    def check(self, wordnet) -> None:
        """Checks that WordNet has the synsets named.

        Raises:
            InputError: it lacks one (file:line).
        """
        for text, row in self.rows.items():
            for class_id in filter(None, (row.class_id, row.parent)):
                if is_own(class_id):
                    continue
                try:
                    wn.synset_of(class_id, wordnet)
                except InputError as error:
                    place = self.places.get(text, text)
                    raise InputError(f"{place}: {error}") from None

    def joined(self, other: ClassMap) -> ClassMap:
        """Returns both; rows of the other one win."""
        return ClassMap(
            {**self.rows, **other.rows}, {**self.places, **other.places}
        )


def _spellings(key: str, name: str) -> tuple[str, ...]:
    # As tables show the key, on one line, is as good.
    return key, plain_name(key), key.partition(":")[2], normalise(name)


def say_unused(unused: Mapping[str, str], rows: int) -> str:
    """Returns a line on rows of class maps that name no class.

    Args:
        unused: as `ClassMap.unused` returns it.
        rows: how many there are.
    """
    shown = [f"{place} {name}" for place, name in unused.items()][:_SHOWN]
    more = ", ..." if len(unused) > len(shown) else ""
    return (
        f"{len(unused)} of {rows} rows of the class map name no class of the "
        f"sources: {', '.join(shown)}{more}; are they spelt as there?"
    )


def read_class_map(path: str) -> ClassMap:
    """Reads a CSV, by `,` or `;`, or TSV with columns name, class and parent.

    `parent` may be left out; further columns are comments. An empty class
    leaves the name out. A `wordnet-overrides.csv` (LabelName, WordNetId) is
    such a map too.

    Raises:
        InputError: another header, a class that is no id, a parent of one
            that is not an own one, or a name with two rows (file:line).
    """
    # Files of any file system need Beam, which takes seconds to import.
    from beam_jobs.files import text_files

    first = _first_line(path)
    delimiter = next((d for d in "\t;" if d in first), ",")
    rows = text_files.read_sound_csv(path, delimiter)
    header = [n.strip().lower() for n in rows[0][1]] if rows else []
    if rows and rows[0][1] == _OVERRIDE_HEADER:
        header = ["name", "class"]
    if header[:2] != ["name", "class"]:
        raise InputError(
            f"{path}:1: a class map starts with the columns "
            f"{', '.join(MAP_HEADER)} (parent may be left out), or with "
            f"{','.join(_OVERRIDE_HEADER)}; received: {header}"
        )
    with_parent = header[2:3] == ["parent"]
    found: dict[str, MapRow] = {}
    places: dict[str, str] = {}
    for line, row in rows[1:]:
        place = f"{path}:{line}"
        name, mapped = _parse_row(row, place, with_parent)
        if name in found and found[name].class_id != mapped.class_id:
            raise InputError(f"{place}: a second row for {name!r}")
        for text in filter(None, (name, normalise(name))):
            found.setdefault(text, mapped)
            places.setdefault(text, place)
        found[name] = mapped
    return ClassMap(found, places)


def _parse_row(
    row: Sequence[str], place: str, with_parent: bool
) -> tuple[str, MapRow]:
    """Returns the name of a row, and its class.

    Raises:
        InputError: it lacks one, or as `read_class_map`.
    """
    if len(row) < 2:
        raise InputError(f"{place}: a name and a class are needed")
    name, class_id = row[0].strip(), row[1].strip()
    parent = row[2].strip() if with_parent and len(row) > 2 else ""
    for text in filter(None, (class_id, parent)):
        check_class_id(text, place)
    if parent and not is_own(class_id):
        raise InputError(
            f"{place}: a parent is given to a class of one's own alone, "
            f"as {own_id(name)}; received: {class_id or 'no class'}"
        )
    if not name:
        raise InputError(f"{place}: a row without name")
    return name, MapRow(class_id, parent)


def _first_line(path: str) -> str:
    from beam_jobs.files import text_files

    return str(next(iter(text_files.read_lines(path)), ""))


def read_overrides(path: str | None) -> dict[str, str]:
    """Returns wnid by label name or key from a `LabelName,WordNetId` CSV.

    An empty WordNet id leaves the class out.

    Raises:
        InputError: another header, or a malformed row (file:line).
    """
    if path is None:
        return {}
    from beam_jobs.files import text_files

    rows = text_files.read_sound_csv(path)
    if not rows or rows[0][1] != _OVERRIDE_HEADER:
        raise InputError(
            f"{path}:1: the header must be {','.join(_OVERRIDE_HEADER)}"
        )
    for line, row in rows[1:]:
        if len(row) != 2 or (row[1] and not wn.WNID_PATTERN.fullmatch(row[1])):
            raise InputError(
                f"{path}:{line}: a label name and a WordNet id as n02084071 "
                f"are needed; received: {','.join(row)[:200]}"
            )
    return {row[0]: row[1] for _, row in rows[1:]}
