"""English class names -> WordNet lemmas that surely stand for them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_QUALIFIED = re.compile(r"(.+?)[\s_]*\(([^)]+)\)\s*")
_SEPARATORS = re.compile(r"[\s_-]+")
_AND = re.compile(r"\s*(?:,|&|/|\band\b|\bor\b)\s*")
_PREPOSITION = re.compile(r"\s+(?:of|for|with|on|in)\s+")
# A name with one of these says what is not there, or only looks so.
_DENIALS = frozenset(
    "absent anti cannot free incorrect isnt lacking less missing neither never "
    "no non none nor not off un unlike without wo wout".split()
)
_DENYING = re.compile(r"\b(?:w/o|\w+n't)\b")


@dataclass(frozen=True)
class Candidate:
    """A way to read a name.

    Attributes:
        rule: how it was found.
        lemma: of WordNet.
    """

    rule: str
    lemma: str


def split_qualifier(name: str) -> tuple[str, str]:
    """Returns name and qualifier: `Bat (Animal)` -> `Bat`, `Animal`.

    Example:
        >>> split_qualifier("bow_(decorative_ribbons)"), split_qualifier("dog")
        (('bow', 'decorative ribbons'), ('dog', ''))
    """
    match = _QUALIFIED.fullmatch(name)
    return (match[1], match[2].replace("_", " ")) if match else (name, "")


def words_of(name: str) -> list[str]:
    """Returns the words of a name, in lower case."""
    return [w for w in _SEPARATORS.split(name.lower()) if w]


def singular(name: str, wordnet) -> str:
    """Returns a name in lower case, its last word in its base form."""
    *before, last = words_of(name) or [""]
    return " ".join([*before, wordnet.morphy(last, pos="n") or last])


def denies(name: str) -> bool:
    """Tells whether a name says that something is absent.

    Example:
        >>> [denies(n) for n in ("no_helmet", "un-masked", "knot", "w/o hat")]
        [True, True, False, True]
    """
    return (
        not _DENIALS.isdisjoint(words_of(name))
        or _DENYING.search(name.lower()) is not None
    )


def candidates(name: str, wordnet) -> Iterator[Candidate]:
    """Yields readings of the whole name, the surest first."""
    words = words_of(name)
    if not words:
        return
    lemma = "_".join(words)
    if is_noun(lemma, wordnet):
        yield Candidate("lemma", lemma)
    if len(lemma) > 1:
        base = wordnet.morphy(lemma, pos="n")
        if base and base != lemma:
            yield Candidate("inflected", base)
    # `un cover` is no cover, and nothing joins it to one word.
    found = "" if denies(name) else compound(words, wordnet)
    if found and found not in (lemma, wordnet.morphy(lemma, pos="n")):
        yield Candidate("compound", found)


def compound(words: list[str], wordnet) -> str:
    """Returns a noun spelt otherwise: joined, hyphenated or taken apart.

    Only as a whole that WordNet knows: `diningtable` is `dining_table`.
    """
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


def enumeration(name: str, wordnet) -> list[str]:
    """Returns the lemmas of a list of kinds; none if it is no such list.

    `Moths and butterflies`, `Salt and pepper shakers`.
    """
    parts = [p for p in _AND.split(name.lower().replace("_", " ")) if p]
    if len(parts) < 2:
        return []
    split = [words_of(p) for p in parts]
    last = split[-1]
    shared = [
        [*words, *last[-tail:]]
        for tail in range(1, len(last))
        for words in split[:-1]
    ]
    readings = [*shared[: len(split) - 1], last] if shared else split
    lemmas = [_lemma_of(words, wordnet) for words in readings]
    return lemmas if all(lemmas) else []


def heads(name: str, wordnet) -> Iterator[tuple[list[str], str]]:
    """Yields words of a name that may be its kind, and what is before them.

    `Dog bed` ends in its kind, `Bowl for dogs` starts with it.
    """
    words = words_of(name)
    before = words_of(_PREPOSITION.split(name.lower().replace("_", " "))[0])
    if len(before) < len(words):
        # What follows the preposition is not the kind.
        if lemma := _lemma_of(before, wordnet):
            yield [], lemma
        words = before
    for start in range(1, len(words)):
        if lemma := _lemma_of(words[start:], wordnet):
            yield words[:start], lemma


def _lemma_of(words: list[str], wordnet) -> str:
    for candidate in candidates(" ".join(words), wordnet):
        return candidate.lemma
    return ""


def is_noun(lemma: str, wordnet) -> bool:
    """Tells whether WordNet has a noun of exactly this lemma."""
    return bool(wordnet.lemmas(lemma, pos="n"))
