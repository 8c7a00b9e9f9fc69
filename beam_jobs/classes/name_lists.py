"""What a list of class names says of each: its language, proper names.

One name alone may be a word by chance: German `Gift` is poison, `Puma` makes
shoes. Its neighbours tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from beam_jobs.classes.lemmas import compound, split_qualifier, words_of
from beam_jobs.classes.own_classes import normalise
from beam_jobs.errors import InputError

# So few unknown words say nothing of a language.
_LEAST_UNKNOWN = 2
# In so short a list a word may be English by chance.
_SHORT = 10
_LEAST_SHOWN = 3
_NUMBERED = re.compile(r"\d{1,5}[.\-_ ]+([^\W\d].*)")


@dataclass(frozen=True)
class NameList:
    """What the names of one kind of source have in common.

    Attributes:
        names: how many there are.
        known: how many consist of words that WordNet has.
        english: whether a word of it may be read as English.
        proper: whether a capital marks a proper name.
        sure: whether so many are English that one of several senses has what
            these have in common for its kind.
        words: the names of one word, in lower case.
    """

    names: int
    known: int
    english: bool
    proper: bool
    sure: bool = True
    words: frozenset[str] = frozenset()

    def joins(self, name: str) -> bool:
        """Tells whether a name is others of the list, blanks between them."""
        words = words_of(name)
        return len(words) > 1 and self.words.issuperset(words)


def judge_names(
    names: Iterable[str], wordnet, visible: Callable[[Any], bool] | None = None
) -> NameList:
    """Judges the names of one kind of source.

    A capital marks proper names where known names start with a small letter
    and an unknown one with a capital. Else plain words that WordNet lacks
    speak for another language, if they are more than those it has. Of fewer
    than 10 names one such word does, unless more names than such words are
    English for something that an image shows: French `pain` is none.

    Args:
        names: of one kind of source.
        wordnet: as `load_wordnet` returns it.
        visible: tells whether an image can show a synset; None if any can.
    """
    names = list(names)
    known = {n: _is_known(n, wordnet) for n in names}
    small = any(k and n[:1].islower() for n, k in known.items())
    capital = any(not k and n[:1].isupper() for n, k in known.items())
    proper = small and capital
    plain = [
        n
        for n, k in known.items()
        if not k and _is_plain(n) and not (proper and n[:1].isupper())
    ]
    unknown = len(plain)
    # In another script nothing speaks of the words in this one.
    latin = sum(any("a" <= c <= "z" for c in n.lower()) for n in plain)
    found = sum(known.values())
    foreign = unknown >= _LEAST_UNKNOWN and unknown > found
    shown = found
    if len(names) < _SHORT:
        shown = sum(
            k and _is_shown(n, wordnet, visible) for n, k in known.items()
        )
        foreign |= latin > 0 and latin >= shown
    sure = len(names) >= _SHORT or shown >= _LEAST_SHOWN
    words = frozenset(n.lower() for n in names if len(words_of(n)) == 1)
    return NameList(len(names), found, not foreign, proper, sure, words)


def _is_shown(
    name: str, wordnet, visible: Callable[[Any], bool] | None
) -> bool:
    """Tells whether a known name may stand for what an image shows."""
    words = words_of(split_qualifier(name)[0])
    if len(words) > 1:
        return True
    senses = wordnet.synsets(compound(words, wordnet) or words[0], pos="n")
    return any(visible is None or visible(synset) for synset in senses)


def _is_known(name: str, wordnet) -> bool:
    words = words_of(split_qualifier(name)[0])
    return bool(words) and (
        _has_word("_".join(words), wordnet)
        or all(_has_word(w, wordnet) or compound([w], wordnet) for w in words)
    )


def _has_word(word: str, wordnet) -> bool:
    # Of a named individual (Baum wrote the Wizard of Oz) it is no word.
    return word.isascii() and any(
        not synset.instance_hypernyms() for synset in wordnet.synsets(word)
    )


def _is_plain(name: str) -> bool:
    """Tells whether a name is words, not a brand or a number: no `GoPro`."""
    words = split_qualifier(name)[0].replace("_", " ").split()
    return all(w.isalpha() and w[1:] == w[1:].lower() for w in words)


def read_names(paths: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns WordNet ids by normalised word, from Open Multilingual WordNet.

    Files have lines `offset-pos<TAB>type<TAB>word`, the type `lemma` or
    `deu:lemma`; offsets are WordNet 3.0's, as in `wn-data-deu.tab`. A file
    that gives several words an offset, or a word several, is right.

    https://omwn.org/doc/data.html

    Raises:
        InputError: no such file, or one without a noun.
    """
    from beam_jobs.files import storage

    found: dict[str, dict[str, None]] = {}
    for path in paths:
        if not storage.exists(path):
            raise InputError(f"names: no such file: {path}")
        before = len(found)
        for line in storage.read_text(path).splitlines():
            fields = line.split("\t")
            offset, _, pos = fields[0].partition("-")
            if (
                len(fields) < 3
                or pos != "n"
                or not (offset.isdecimal() and len(offset) == 8)
                or fields[1].rpartition(":")[2] != "lemma"
            ):
                continue
            word = normalise(fields[2])
            found.setdefault(word, {})[f"n{offset}"] = None
        if len(found) == before:
            raise InputError(
                f"{path}: a file of Open Multilingual WordNet is needed, with "
                "lines `02084071-n<TAB>lemma<TAB>Hund`; no noun was found"
            )
    return {word: tuple(wnids) for word, wnids in found.items()}


def without_numbers(names: Mapping[str, str]) -> dict[str, str]:
    """Takes running numbers off names: `001.ak47` of Caltech-256, CUB.

    Only where all names of a kind of source have one, and there are several.

    Args:
        names: by class key.
    """
    plain = dict(names)
    for kind in kinds_of(names):
        keys = [key for key in names if key.startswith(f"{kind}:")]
        found = [_NUMBERED.fullmatch(names[key]) for key in keys]
        if len(keys) > 1 and all(found):
            plain |= {k: m[1] for k, m in zip(keys, found, strict=True) if m}
    return plain


def kinds_of(names: Mapping[str, str]) -> dict[str, list[str]]:
    """Returns names by kind of source: what is before a key's colon."""
    found: dict[str, list[str]] = {}
    for key, name in names.items():
        found.setdefault(key.partition(":")[0], []).append(name)
    return found
