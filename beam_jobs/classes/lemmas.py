"""English class names -> WordNet lemmas that may stand for them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_QUALIFIED = re.compile(r"(.+?)\s*\(([^)]+)\)\s*")
_SEPARATORS = re.compile(r"[\s_-]+")
_AND = re.compile(r"\s*(?:,|&|/|\band\b|\bor\b)\s*")
_PREPOSITION = re.compile(r"\s+(?:of|for|with|on|in)\s+")
# Shorter ends are found in nearly every word: "sleigh" + "bell" is one.
_LEAST_END = 4


@dataclass(frozen=True)
class Candidate:
    """A way to read a name.

    Attributes:
        rule: how it was found.
        lemmas: of WordNet, one as a rule; several mean their nearest common
            hypernym.
        exact: it means what the name means, not something more general.
        senses: so many of the first senses may be taken; None for all.
    """

    rule: str
    lemmas: tuple[str, ...]
    exact: bool = True
    senses: int | None = None


def split_qualifier(name: str) -> tuple[str, str]:
    """Returns name and qualifier: `Bat (Animal)` -> `Bat`, `Animal`."""
    match = _QUALIFIED.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def candidates(name: str, wordnet) -> Iterator[Candidate]:
    """Yields readings of a name, the surest first."""
    words = [w for w in _SEPARATORS.split(name.lower()) if w]
    if not words:
        return
    yield from _whole(words, wordnet)
    yield from _enumeration(name.lower(), wordnet)
    yield from _ends(words, name.lower(), wordnet)


def _whole(words: list[str], wordnet) -> Iterator[Candidate]:
    lemma = "_".join(words)
    if is_noun(lemma, wordnet):
        yield Candidate("lemma", (lemma,))
    base = wordnet.morphy(lemma, pos="n")
    if base and base != lemma:
        yield Candidate("inflected", (base,))
    found = compound(words, wordnet)
    if found and found not in (lemma, base):
        yield Candidate("compound", (found,))


def compound(words: list[str], wordnet) -> str:
    """Returns a noun spelt otherwise: joined, hyphenated or taken apart."""
    if len(words) == 1:
        word = words[0]
        cuts = range(2, len(word) - 1)
        spellings = [f"{word[:i]}{s}{word[i:]}" for i in cuts for s in "_-"]
    else:
        # More than four words are never joined; 3 ** n spellings.
        gaps = itertools.product(("_", "", "-"), repeat=len(words) - 1)
        spellings = [
            "".join(
                w + gap for w, gap in zip(words, (*gap_row, ""), strict=True)
            )
            for gap_row in (gaps if len(words) <= 4 else ())
        ]
    for spelling in spellings:
        base = wordnet.morphy(spelling, pos="n")
        if base and is_noun(base, wordnet):
            return base
    return ""


def _enumeration(name: str, wordnet) -> Iterator[Candidate]:
    """`Moths and butterflies`, `Salt and pepper shakers`."""
    parts = [p for p in _AND.split(name) if p]
    if len(parts) < 2:
        return
    split = [_SEPARATORS.split(p) for p in parts]
    last = split[-1]
    shared = [
        [*words, *last[-tail:]]
        for tail in range(1, len(last))
        for words in split[:-1]
    ]
    if shared:
        readings = [*shared[: len(split) - 1], last]
        lemmas = [_lemma_of(words, wordnet) for words in readings]
        if all(lemmas):
            yield Candidate("common", tuple(lemmas), exact=False)
        return
    lemmas = [_lemma_of(words, wordnet) for words in split]
    if all(lemmas):
        yield Candidate("common", tuple(lemmas), exact=False)


def _lemma_of(words: list[str], wordnet) -> str:
    for candidate in _whole(words, wordnet):
        return candidate.lemmas[0]
    return ""


def _ends(words: list[str], name: str, wordnet) -> Iterator[Candidate]:
    """The end of a name is its kind: `Dog bed` is a bed."""
    before = _SEPARATORS.split(_PREPOSITION.split(name)[0])
    if len(before) < len(words) and (lemma := _lemma_of(before, wordnet)):
        yield Candidate("head", (lemma,), exact=False, senses=1)
    for start in range(1, len(words)):
        end = words[start:]
        lemma = _lemma_of(end, wordnet)
        if lemma and len(end) > 1:
            yield Candidate("suffix", (lemma,), exact=False)
        elif lemma:
            yield Candidate("head", (lemma,), exact=False, senses=1)
    if len(words) == 1 and (lemma := _end_of_word(words[0], wordnet)):
        yield Candidate("head", (lemma,), exact=False, senses=1)


def _end_of_word(word: str, wordnet) -> str:
    """`pottedplant` -> `plant`; both parts must be words."""
    for cut in range(2, len(word) - _LEAST_END + 1):
        base = wordnet.morphy(word[cut:], pos="n")
        if base and wordnet.synsets(word[:cut]):
            return base
    return ""


def is_noun(lemma: str, wordnet) -> bool:
    """Tells whether WordNet has a noun of exactly this lemma."""
    return bool(wordnet.lemmas(lemma, pos="n"))
