"""Class names of any source -> WordNet synsets, every choice open to review.

The paper merges Open Images classes into ImageNet's by meaning (section 2.2)
and publishes no rule; ours, in order:

1. `override`: a row of the user's overrides file. Then `reviewed`, or
   `reviewed_general` where WordNet has only something more general: a row of
   `reviewed_classes.tsv` beside this module, which corrects the rules
   below where they were seen to fail, with the reason of each.
2. `lemma`: the name is a noun in WordNet.
3. `inflected`: its base form is (NLTK's morphy: plurals).
4. `compound`: it is one when joined, hyphenated or taken apart: `Wheel chair`,
   `Coffeemaker`, `diningtable`.
5. `common`: of `Moths and butterflies` the nearest common hypernym.
6. `suffix`: the first words are dropped: `Table tennis racket`.
7. `head`: the most frequent sense of the last word: `Dog bed`.
8. `hypernym`: the nearest class upwards that the wanted classes hold.

Rules 5 to 8 find something more general: such a choice is not `exact`, and an
image where the class was verified absent says nothing about the synset.

Among several senses those are taken that the wanted classes hold; first those
that a qualifier names (`Bat (Animal)`: among the lemmas above the sense), then
the preferred ones, then by WordNet's order of frequency. Without wanted
classes, all are wanted that `abstract_classes` leaves in.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from beam_jobs.classes import abstract_classes
from beam_jobs.classes import senses as class_senses
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.lemmas import Candidate, candidates, split_qualifier
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv

SHIPPED = Path(__file__).with_name("reviewed_classes.tsv")
_SHIPPED_HEADER = ("key", "display_name", "wnid", "fit", "reason")
_OVERRIDE_HEADER = ["LabelName", "WordNetId"]
_CHOICES_HEADER = (
    "key",
    "display_name",
    "wnid",
    "rule",
    "alternatives",
    "merged_with",
    "synset",
    "gloss",
)
_GENERAL = frozenset(
    {"reviewed_general", "common", "suffix", "head", "hypernym"}
)
_GLOSS_WORDS = 12

# Limits of the two rules that climb: what lies farther says too little.
_COMMON_SENSES = 4
_COMMON_EDGES = 3
_HYPERNYM_EDGES = 3

Wanted = Callable[[str], bool]


@dataclass(frozen=True)
class ClassChoice:
    """What one class became.

    Attributes:
        key: `oi:/m/0bt9lr`, `coco:hot dog`.
        display_name: its English name.
        wnid: the synset chosen; "" if none fits.
        rule: the rule that chose it; `none` if none did.
        alternatives: the other senses considered, best first.
        merged_with: other keys that became the same synset, sorted.
    """

    key: str
    display_name: str
    wnid: str
    rule: str
    alternatives: tuple[str, ...] = ()
    merged_with: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the synset means no more than the class."""
        return bool(self.wnid) and self.rule not in _GENERAL


def map_classes(
    display_names: Mapping[str, str],
    overrides: Mapping[str, str],
    wanted: Wanted | None = None,
    wordnet=None,
    preferred: Wanted | None = None,
) -> list[ClassChoice]:
    """Returns one choice per class, sorted by key.

    Args:
        display_names: display name by key. A key that is a WordNet id is
            kept as it is.
        overrides: wnid by key, or by what follows the first `:` of a key; ""
            leaves a class out.
        wanted: tells whether a wnid is in the vocabulary; None if the
            vocabulary is yet to be built.
        wordnet: as `load_wordnet` returns it.
        preferred: tells which wnids to take first among the wanted senses,
            as those that another source annotates.

    Raises:
        InputError: an override names an unknown WordNet id, or no class.
    """
    wordnet = wordnet or wn.load_wordnet()
    _check_overrides(overrides, display_names, wordnet)
    visible = visible_classes(wordnet)
    chooser = _Chooser(
        wanted or visible, preferred or (lambda wnid: False), visible, wordnet
    )
    shipped = read_shipped_overrides()
    choices = []
    for key, name in sorted(display_names.items()):
        override = _override(key, overrides)
        if override is not None:
            choice = ClassChoice(key, name, override, "override")
        elif key in shipped:
            choice = chooser.reviewed(key, name, *shipped[key])
        else:
            choice = chooser.choose(key, name)
        choices.append(choice)
    return _note_merges(choices)


def visible_classes(wordnet) -> Wanted:
    """Returns what is wanted before there is a vocabulary."""
    rules = abstract_classes.load_rules()
    return lambda wnid: not abstract_classes.is_abstract(wnid, rules, wordnet)


@dataclass(frozen=True)
class _Chooser:
    wanted: Wanted
    preferred: Wanted
    visible: Wanted
    wordnet: Any

    def reviewed(
        self, key: str, name: str, wnid: str, general: bool
    ) -> ClassChoice:
        # Reviewed without knowing which classes are wanted.
        if wnid and not self.wanted(wnid):
            return self._above(key, name, [wnid])
        rule = "reviewed_general" if general else "reviewed"
        return ClassChoice(key, name, wnid, rule)

    def choose(self, key: str, name: str) -> ClassChoice:
        if wn.WNID_PATTERN.fullmatch(key):
            wn.synset_of(key, self.wordnet)
            return ClassChoice(key, name, key, "wnid")
        base, qualifier = split_qualifier(name)
        readings = [
            (candidate, self._senses(candidate, qualifier))
            for candidate in candidates(base, self.wordnet)
        ]
        for candidate, senses in readings:
            allowed = [w for w in senses if self.visible(w)]
            fitting = [w for w in allowed[: candidate.senses] if self.wanted(w)]
            if fitting:
                best = min(fitting, key=lambda w: not self.preferred(w))
                others = tuple(w for w in senses if w != best)
                return ClassChoice(key, name, best, candidate.rule, others)
        exact = [w for c, found in readings if c.exact for w in found]
        return self._above(key, name, exact)

    def _senses(self, candidate: Candidate, qualifier: str) -> list[str]:
        """Returns wnids, best first."""
        groups = [
            self.wordnet.synsets(lemma, pos="n") for lemma in candidate.lemmas
        ]
        if len(groups) > 1:
            return self._common_hypernyms(candidate.lemmas, groups)
        (lemma,) = candidate.lemmas
        senses = class_senses.rank(groups[0], lemma)
        if qualifier:
            word = qualifier.lower().replace(" ", "_")
            base = self.wordnet.morphy(word, pos="n") or word
            senses = sorted(senses, key=lambda s: not _is_under(s, base))
        return [wn.wnid_of(s) for s in senses]

    def _common_hypernyms(
        self, lemmas: Sequence[str], groups: Sequence[Sequence[Any]]
    ) -> list[str]:
        """Returns what is nearest to one visible sense of each, if near."""
        seen = [
            [
                s
                for s in class_senses.rank(senses, lemma)
                if self.visible(wn.wnid_of(s))
            ][:_COMMON_SENSES]
            for lemma, senses in zip(lemmas, groups, strict=True)
        ]
        found: list[tuple[int, str]] = []
        for combination in itertools.product(*seen):
            above = set.intersection(*(_closure(s) for s in combination))
            found += [
                (distance, wn.wnid_of(synset))
                for synset in above
                if (distance := _distance(synset, combination)) <= _COMMON_EDGES
            ]
        return list(dict.fromkeys(wnid for _, wnid in sorted(found)))

    def _above(self, key: str, name: str, senses: list[str]) -> ClassChoice:
        """Chooses the nearest wanted class above the first visible sense."""
        others = tuple(dict.fromkeys(senses))
        for wnid in filter(self.visible, senses):
            level = [wn.synset_of(wnid, self.wordnet)]
            for _ in range(_HYPERNYM_EDGES):
                level = [h for s in level for h in wn.hypernyms_of(s)]
                fitting = sorted(
                    w for w in map(wn.wnid_of, level) if self.wanted(w)
                )
                if fitting:
                    return ClassChoice(
                        key, name, fitting[0], "hypernym", others
                    )
            break
        return ClassChoice(key, name, "", "none", others)


def _closure(synset) -> set:
    return {synset, *synset.closure(wn.hypernyms_of)}


def _distance(above, synsets) -> int:
    """Returns edges from the farthest of the synsets up to `above`."""
    distances = [
        [d for synset, d in s.hypernym_distances() if synset == above]
        for s in synsets
    ]
    return max(min(d) for d in distances)


def _is_under(synset, word: str) -> bool:
    names = {n.lower() for s in _closure(synset) for n in s.lemma_names()}
    return word in names


def _note_merges(choices: list[ClassChoice]) -> list[ClassChoice]:
    keys: dict[str, list[str]] = {}
    for choice in choices:
        keys.setdefault(choice.wnid, []).append(choice.key)
    return [
        replace(c, merged_with=tuple(k for k in keys[c.wnid] if k != c.key))
        if c.wnid
        else c
        for c in choices
    ]


def _override(key: str, overrides: Mapping[str, str]) -> str | None:
    return overrides.get(key, overrides.get(key.partition(":")[2]))


def _check_overrides(
    overrides: Mapping[str, str], names: Mapping[str, str], wordnet
) -> None:
    known = {k for key in names for k in (key, key.partition(":")[2])}
    for key, wnid in overrides.items():
        if wnid:
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


def read_overrides(path: str | None) -> dict[str, str]:
    """Returns wnid by label name or key from a `LabelName,WordNetId` CSV.

    An empty WordNet id leaves the class out.

    Raises:
        InputError: another header, or a malformed row (file:line).
    """
    if path is None:
        return {}
    # Files of any file system need Beam, which takes seconds to import.
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
    names = gloss = ""
    if choice.wnid:
        synset = wn.synset_of(choice.wnid, wordnet)
        names = wn.names_of(synset)
        gloss = " ".join(synset.definition().split()[:_GLOSS_WORDS])
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
        names,
        gloss,
    )
