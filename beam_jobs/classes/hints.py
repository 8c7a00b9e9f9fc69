"""What is known of the names of classes beside themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from beam_jobs.classes.class_map import ClassMap
from beam_jobs.classes.lemmas import words_of
from beam_jobs.classes.name_lists import NameList


@dataclass(frozen=True)
class Hints:
    """What is known beside the names.

    Attributes:
        overrides: class id by key, or by what follows the first `:` of a key;
            "" leaves a class out.
        class_map: rows of the user's, for keys and names.
        vocabulary: class id by normalised name, of classes of the vocabulary
            that WordNet lacks.
        names: WordNet ids by normalised word of another language; with them
            no name is read as English.
        lists: what the names of a kind of source (`csv`) have in common.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    class_map: ClassMap = field(default_factory=ClassMap)
    vocabulary: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] | None = None
    lists: Mapping[str, NameList] = field(default_factory=dict)

    def _list_of(self, key: str) -> NameList | None:
        return self.lists.get(key.partition(":")[0])

    def reads_english(self, key: str) -> bool:
        """Whether the name of a key may be read as English."""
        judged = self._list_of(key)
        return self.names is None and (judged is None or judged.english)

    def is_sure(self, key: str) -> bool:
        """Whether the names of a source are English beyond chance."""
        judged = self._list_of(key)
        return judged is None or judged.sure

    def joins(self, key: str, name: str) -> bool:
        """Whether a name is several others of its source."""
        judged = self._list_of(key)
        return judged is not None and judged.joins(name)

    def is_proper(self, key: str, name: str) -> bool:
        """Whether a name is a proper one, by the other names of its source."""
        judged = self._list_of(key)
        one_word = len(words_of(name)) == 1 and name[:1].isupper()
        return judged is not None and judged.proper and one_word
