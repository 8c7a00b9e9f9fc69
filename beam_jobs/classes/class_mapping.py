"""Class names of any source -> WordNet synsets, every choice open to review.

The paper merges Open Images classes into ImageNet's by meaning (section 2.2)
and publishes no rule; ours map a name only where it is sure, in order:

1. `override`, `class_map`: a row of the user's.
2. `reviewed`, or `reviewed_general` where WordNet has only something more
   general: a row of `reviewed_classes.tsv` beside this module; also for the
   same name in another source, where all rows of that name agree.
3. `wnid`: a WordNet id, alone or before the name (`n02085620-Chihuahua`), an
   own id (`own:stop_sign`), or the name of a synset (`aerosol.n.02`).
4. `vocabulary`: a class of the vocabulary given that WordNet lacks.
5. `names`: a word of another language, by the user's files.
6. `lemma`: the name is a noun in WordNet; `inflected`: its base form is
   (NLTK's morphy: plurals); `compound`: it is one when joined, hyphenated or
   taken apart: `Wheel chair`, `Coffeemaker`, `diningtable`. Each only where
   one sense is sure (`senses`).
7. `hypernym`: of a class found so, which the vocabulary given lacks, the
   nearest one upwards that it holds.

What is left stays a class of its own (`own_classes`): `kind` if its last word
surely is what it is a kind of (`parents`), `ambiguous` if it has several
senses of like weight, `foreign` where the list of names is in another
language, `own` otherwise. The rules `reviewed_general` and
`hypernym` find something more general: such a choice is not `exact`, and an
image where the class was verified absent says nothing about the synset.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from beam_jobs.classes import abstract_classes, own_classes, parents
from beam_jobs.classes import senses as class_senses
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_choices import (
    ClassChoice,
    kinds_of_map,
    note_merges,
)
from beam_jobs.classes.hints import Hints
from beam_jobs.classes.lemmas import (
    candidates,
    denies,
    singular,
    split_qualifier,
)
from beam_jobs.classes.own_classes import find_synset, normalise, own_id
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv

SHIPPED = Path(__file__).with_name("reviewed_classes.tsv")
_SHIPPED_HEADER = ("key", "display_name", "wnid", "fit", "reason")
# Of the rule that climbs: what lies farther says too little.
_HYPERNYM_EDGES = 3
# As the folders of Stanford Dogs are called: n02085620-Chihuahua.
_WNID_AND_NAME = re.compile(r"(n\d{8})[-_ ]")
_SYNSET_NAME = re.compile(r"(\S+)\.n\.\d\d")

Wanted = Callable[[str], bool]


def map_classes(
    display_names: Mapping[str, str],
    overrides: Mapping[str, str] | Hints,
    wanted: Wanted | None = None,
    wordnet=None,
    preferred: Wanted | None = None,
) -> list[ClassChoice]:
    """Returns one choice per class, sorted by key.

    Args:
        display_names: display name by key. A key that is a WordNet id is
            kept as it is.
        overrides: class id by key, or all that is known beside the names.
        wanted: tells whether a class is in the vocabulary; None if the
            vocabulary is yet to be built.
        wordnet: as `load_wordnet` returns it.
        preferred: tells which wnids to take among several senses of like
            weight, if that leaves one: those that another source annotates.

    Raises:
        InputError: an override names an unknown WordNet id, or no class.
    """
    wordnet = wordnet or wn.load_wordnet()
    hints = (
        overrides if isinstance(overrides, Hints) else Hints(dict(overrides))
    )
    _check_overrides(hints.overrides, display_names, wordnet)
    hints.class_map.check(wordnet)
    visible = visible_classes(wordnet)
    chooser = _Chooser(
        wanted or (lambda wnid: True),
        preferred or (lambda wnid: False),
        functools.lru_cache(maxsize=None)(
            lambda synset: visible(wn.wnid_of(synset))
        ),
        wordnet,
        hints,
        read_shipped_overrides(),
        _reviewed_names(),
    )
    choices = [
        chooser.choose(key, name) for key, name in sorted(display_names.items())
    ]
    return note_merges(choices + kinds_of_map(hints.class_map, choices))


def visible_classes(wordnet) -> Wanted:
    """Returns what is wanted before there is a vocabulary."""
    rules = abstract_classes.load_rules()
    return lambda wnid: not abstract_classes.is_abstract(wnid, rules, wordnet)


@dataclass(frozen=True)
class _Chooser:
    wanted: Wanted
    preferred: Wanted
    visible: Callable[[Any], bool]
    wordnet: Any
    hints: Hints
    shipped: Mapping[str, tuple[str, bool]]
    shipped_names: Mapping[str, tuple[str, bool]]

    def choose(self, key: str, name: str) -> ClassChoice:
        """Applies the rules in their order."""
        for rule in (self._given, self._reviewed, self._named_by_id):
            found = rule(key, name)
            if found is not None:
                return found
        known = self.hints.vocabulary.get(normalise(name))
        if known is not None:
            return ClassChoice(key, name, known, "vocabulary")
        senses: list[str] = []
        if self.hints.names is not None:
            senses = list(self.hints.names.get(normalise(name), ()))
            found = self._translated(key, name, senses)
        elif self.hints.reads_english(key):
            found, senses = self._read(key, name)
            if not self.hints.is_proper(key, name):
                found = self._reviewed_elsewhere(key, name, found)
        return found or self._own(key, name, senses)

    def _given(self, key: str, name: str) -> ClassChoice | None:
        row = self.hints.class_map.row_of(key, name)
        if row is not None:
            return ClassChoice(
                key, name, row.class_id, "class_map", parent=row.parent
            )
        override = _override(key, self.hints.overrides)
        if override is None:
            return None
        return ClassChoice(key, name, override, "override")

    def _reviewed(self, key: str, name: str) -> ClassChoice | None:
        if key in self.shipped:
            wnid, general = self.shipped[key]
            # Reviewed without knowing which classes are wanted.
            if wnid and not self.wanted(wnid):
                return self._above(key, name, wnid)
            rule = "reviewed_general" if general else "reviewed"
            return ClassChoice(key, name, wnid, rule)
        return None

    def _reviewed_elsewhere(
        self, key: str, name: str, read: ClassChoice | None
    ) -> ClassChoice | None:
        """Weighs the rows of other sources for this name.

        Where they say something else than the name's sure sense, two good
        witnesses disagree and nothing is sure.
        """
        wnid, general = self.shipped_names.get(
            normalise(name)
        ) or self.shipped_names.get(
            normalise(singular(name, self.wordnet)), ("", False)
        )
        if not wnid:
            return read
        if general:
            return read or self._own_kind(key, name, wnid)
        if read is None:
            return self._sure(key, name, wnid, "reviewed")
        return read if read.wnid == wnid or read.rule == "hypernym" else None

    def _named_by_id(self, key: str, name: str) -> ClassChoice | None:
        for text in (key, key.partition(":")[2], name):
            if own_classes.is_class_id(text):
                if not (self.wanted(text) or own_classes.is_own(text)):
                    wn.synset_of(text, self.wordnet)
                return ClassChoice(key, name, text, "wnid")
        match = _WNID_AND_NAME.match(name)
        if match and find_synset(match[1], self.wordnet):
            return self._sure(key, name, match[1], "wnid")
        match = _SYNSET_NAME.fullmatch(name)
        if match is None:
            return None
        synset = _synset_named(name, self.wordnet)
        if synset is None:
            return self.choose(key, match[1])
        return self._sure(key, name, wn.wnid_of(synset), "wnid")

    def _read(
        self, key: str, name: str
    ) -> tuple[ClassChoice | None, list[str]]:
        """Reads a name as English; returns a sure choice, and all senses."""
        base, qualifier = split_qualifier(name)
        senses: list[str] = []
        for candidate in candidates(base, self.wordnet):
            found = self.wordnet.synsets(candidate.lemma, pos="n")
            if self.hints.is_proper(key, name):
                found = [s for s in found if _has_capital(s, candidate.lemma)]
            ranked = [
                wn.wnid_of(s) for s in class_senses.rank(found, candidate.lemma)
            ]
            senses += [w for w in ranked if w not in senses]
            sure = class_senses.sure_sense(
                found, candidate.lemma, self.visible, qualifier, self.wordnet
            )
            wnid = self._preferred(found) if sure is None else wn.wnid_of(sure)
            if wnid:
                others = tuple(w for w in senses if w != wnid)
                choice = self._sure(key, name, wnid, candidate.rule)
                return replace(choice, alternatives=others), senses
            if any(map(self.visible, found)):
                # Unsure as it stands; another spelling makes it no surer.
                break
        return None, senses

    def _preferred(self, senses: Iterable[Any]) -> str:
        """Returns the one visible sense that another source annotates."""
        wnids = [wn.wnid_of(s) for s in senses if self.visible(s)]
        found = [w for w in wnids if self.preferred(w)]
        return found[0] if len(found) == 1 else ""

    def _translated(
        self, key: str, name: str, senses: list[str]
    ) -> ClassChoice | None:
        """Chooses among the synsets that files name for a foreign word."""
        found = [s for w in senses if (s := find_synset(w, self.wordnet))]
        synset = class_senses.sure_synset(found, self.visible)
        if synset is None:
            return None
        choice = self._sure(key, name, wn.wnid_of(synset), "names")
        return replace(
            choice, alternatives=tuple(w for w in senses if w != choice.wnid)
        )

    def _sure(self, key: str, name: str, wnid: str, rule: str) -> ClassChoice:
        if self.wanted(wnid):
            return ClassChoice(key, name, wnid, rule)
        return self._above(key, name, wnid)

    def _above(self, key: str, name: str, wnid: str) -> ClassChoice:
        """Chooses the nearest wanted class above a synset."""
        level = [wn.synset_of(wnid, self.wordnet)]
        for _ in range(_HYPERNYM_EDGES):
            level = [h for s in level for h in wn.hypernyms_of(s)]
            fitting = sorted(
                w for w in map(wn.wnid_of, level) if self.wanted(w)
            )
            if fitting:
                return ClassChoice(key, name, fitting[0], "hypernym", (wnid,))
        return ClassChoice(key, name, "", "none", (wnid,))

    def _own(self, key: str, name: str, senses: list[str]) -> ClassChoice:
        """Keeps a name as a class of its own."""
        class_id = self._own_id(key, name)
        if not class_id:
            return ClassChoice(key, name, "", "none")
        others = tuple(senses)
        if not self.hints.reads_english(key):
            return ClassChoice(key, name, class_id, "foreign", others)
        if self.hints.is_proper(key, name) or self.hints.joins(key, name):
            return ClassChoice(key, name, class_id, "own", others)
        synsets = [wn.synset_of(w, self.wordnet) for w in senses]
        seen = [s for s in synsets if self.visible(s)]
        if seen and not denies(name):
            parent = ""
            if self.hints.is_sure(key) and class_senses.are_mostly_seen(
                synsets, seen, name
            ):
                parent = parents.common_kind(seen, self.visible)
            return ClassChoice(
                key, name, class_id, "ambiguous", others, parent=parent
            )
        parent = parents.find_parent(name, self.visible, self.wordnet)
        if parent:
            return self._own_kind(key, name, parent)
        return ClassChoice(key, name, class_id, "own", others)

    def _own_kind(self, key: str, name: str, parent: str) -> ClassChoice:
        class_id = self._own_id(key, name)
        return ClassChoice(key, name, class_id, "kind", parent=parent)

    def _own_id(self, key: str, name: str) -> str:
        """Returns an own id, in English that of the singular."""
        hints = self.hints
        if hints.reads_english(key) and not hints.is_proper(key, name):
            name = singular(name, self.wordnet)
        return own_id(name)


def _has_capital(synset, lemma: str) -> bool:
    return any(
        name[0].isupper() and name.lower() == lemma
        for name in synset.lemma_names()
    )


def _synset_named(name: str, wordnet):
    """Returns the synset of a name as NLTK writes it; None if there is none."""
    from nltk.corpus.reader.wordnet import WordNetError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return wordnet.synset(name.lower())
        except (WordNetError, ValueError):
            return None


def _override(key: str, overrides: Mapping[str, str]) -> str | None:
    return overrides.get(key, overrides.get(key.partition(":")[2]))


def _check_overrides(
    overrides: Mapping[str, str], names: Mapping[str, str], wordnet
) -> None:
    known = {k for key in names for k in (key, key.partition(":")[2])}
    for key, wnid in overrides.items():
        if wnid and not own_classes.is_own(wnid):
            wn.synset_of(wnid, wordnet)
        if key not in known:
            raise InputError(
                f"an override names the class {key!r}, which no source has; "
                f"allowed: a key of class_choices.tsv, or what follows its "
                "colon, as /m/0bt9lr"
            )


def read_shipped_overrides() -> dict[str, tuple[str, bool]]:
    """Returns wnid, and whether it is more general, by key."""
    return {
        key: (wnid, fit == "general")
        for _, (key, _, wnid, fit, _) in read_tsv(SHIPPED, _SHIPPED_HEADER)
    }


@functools.cache
def _reviewed_names() -> dict[str, tuple[str, bool]]:
    """Returns what rows of one name agree on, by normalised name.

    Where another sense fits as well, a row speaks for its source alone.
    """
    found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for _, row in read_tsv(SHIPPED, _SHIPPED_HEADER):
        wnid = "" if row[3] == "either" else row[2]
        found[normalise(row[1])].add((wnid, row[3] == "general"))
    return {name: rows.pop() for name, rows in found.items() if len(rows) == 1}
