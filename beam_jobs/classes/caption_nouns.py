"""Captions -> the WordNet classes that they surely name.

A sentence about an image also names what is not there ("without a hat"), what
only looks like it ("a statue of a horse"), and what words mean by chance
("riding a wave"). A noun counts where it stands as one, alone or as the end of
its phrase, and has one sure sense (`senses`); all else is passed over.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from beam_jobs.classes import senses as class_senses
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.class_mapping import visible_classes
from beam_jobs.classes.lemmas import denies, is_noun
from beam_jobs.classes.parents import IMITATIONS

# Longer compounds are names of species and the like.
_MOST_WORDS = 3
# Longer is no caption of an image; a hostile text costs no more than this.
_MOST_CHARACTERS = 2000
_CLAUSES = re.compile(r"[.;:!?\n]+|,\s|\s--?\s")
_WORDS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", re.UNICODE)
# What is said before them is there, what follows them is not.
_LACKING = frozenset(
    "without no minus lack lacks lacking absence devoid nobody nothing "
    "nowhere hardly barely".split()
)
# What follows only looks like what it names, is elsewhere, or is on an image.
_LIKENESS = frozenset(
    "like as resembling resembles shaped shape named called saying says reads "
    "for from about than instead imagine pretending depicting depicts "
    "advertising labeled wants wanting waiting if maybe perhaps possibly "
    "might appears appear seems seem "
    "card cartoon decal drawing figurine graffiti illustration image logo "
    "mosaic mural ornament painting photograph photo picture portrait poster "
    "print reflection sculpture shadow silhouette sketch sticker tattoo "
    "wallpaper".split()
)
# Of a start as "a photo of", what follows is what the image shows.
_START = re.compile(
    r"^(?:(?:an?|the|this is|it is|here is)\s+)*(?:[\w-]+\s+){0,2}"
    r"(?:photo|photograph|picture|image|shot|view|close[- ]?up|snapshot)s?"
    r"\s+(?:of|showing)\b",
    re.IGNORECASE,
)
# Words before a noun, and behind one that ends its phrase.
_BEFORE = frozenset(
    "a an the this that these those his her its their our my your some "
    "several many two three four five six seven eight nine ten both each "
    "every another other few".split()
)
_BEHIND = frozenset(
    "a an the and or but with in on at by near next to into onto over under "
    "behind beside above below between through along across around against "
    "outside inside without minus while that which who is are has have it its "
    "his her their this these there up down out off very".split()
)
# Parts, numbers and places of things, and words that are no noun there.
_NO_THINGS = frozenset(
    "top bottom side front back background foreground middle end edge corner "
    "center centre left right group bunch couple pair set piece slice line "
    "row kind type variety lot display pose way look one ones others day "
    "night time black white red green blue yellow orange pink purple brown "
    "gray grey gold silver tan".split()
)
# What one does has the name of what one does it with: baseball.
_DOINGS = frozenset({"noun.act", "noun.event"})
_FUNCTION_WORDS = _BEFORE | _BEHIND | _LACKING | {"of", "to", "for", "from"}
# Least share of English words; captions have misspellings and names.
_KNOWN_SHARE = 0.6
# Who looks at the camera is seen, the camera is not.
_UNSEEN = frozenset("camera photographer viewer lens".split())
_LIVING = frozenset({"noun.animal", "noun.plant"})
_BEINGS = frozenset({"noun.animal", "noun.person"})
# Least ratio of a lemma's use as a noun to that as another kind of word.
_NOUN_RATIO = 3
# The same of what follows a noun and is what it does.
_VERB_RATIO = 6


def nouns_of(caption: str, wordnet=None) -> list[str]:
    """Returns the synsets that a caption surely names, each once, in order.

    Args:
        caption: one sentence or several, English.
        wordnet: as `load_wordnet` returns it.

    Example:
        >>> nouns_of("Two zebras and a fire hydrant without a hat.")
        ['zebra.n.01', 'fireplug.n.01']
    """
    wordnet = wordnet or wn.load_wordnet()
    text = _START.sub("", caption[:_MOST_CHARACTERS].strip(), count=1)
    found: dict[str, None] = {}
    clauses = [_WORDS.findall(part.lower()) for part in _CLAUSES.split(text)]
    if not _is_english([word for words in clauses for word in words], wordnet):
        return []
    for words in clauses:
        found |= dict.fromkeys(_read(words, wordnet))
    return list(found)


def _is_english(words: Sequence[str], wordnet) -> bool:
    """Tells whether most words are; of other languages some are by chance."""
    known = sum(_is_known(word, wordnet) for word in words)
    return known >= _KNOWN_SHARE * len(words)


@functools.lru_cache(maxsize=1 << 16)
def _is_known(word: str, wordnet) -> bool:
    # Its letters and abbreviations are words of other languages.
    return word in _FUNCTION_WORDS or (
        len(word) > 2 and bool(wordnet.synsets(word))
    )


def _read(words: Sequence[str], wordnet) -> Iterator[str]:
    """Yields what a clause names, up to where it speaks of something else."""
    if any(denies(word) and word not in _LACKING for word in words):
        return
    position = 0
    before = ""
    while position < len(words):
        word = words[position]
        if word in _LACKING or word in _LIKENESS:
            return
        if word in IMITATIONS - _BEHIND:
            # A statue of a horse, a toy car: the rest may be part of it.
            return
        next_words = tuple(words[position : position + _MOST_WORDS])
        count, synset = _longest(before, next_words, wordnet)
        after = words[position + count : position + count + 1]
        if synset and _ends_phrase(after, wordnet):
            if not _is_of_things(before, synset, wordnet):
                yield synset
        position += count
        before = words[position - 1]


@functools.lru_cache(maxsize=1 << 16)
def _is_of_things(before: str, name: str, wordnet) -> bool:
    """Tells whether a living thing is named by a thing: a corn dog is none.

    Of another living thing it is one: a baby elephant.
    """
    if wordnet.synset(name).lexname() not in _LIVING:
        return False
    plain = before in _FUNCTION_WORDS | _NO_THINGS or before.endswith("ing")
    noun = "" if plain else _noun_of(before, wordnet)
    if not noun or wordnet.synsets(noun, pos="n")[0].lexname() in _BEINGS:
        return False
    as_noun = _count(wordnet, noun, "n")
    return as_noun > sum(_count(wordnet, before, pos) for pos in "av")


def _ends_phrase(after: Sequence[str], wordnet) -> bool:
    """Tells whether a noun before these words is the end of its phrase."""
    if not after or after[0] in _BEHIND or after[0].endswith("ing"):
        return True
    return _is_verb(after[0], wordnet)


@functools.lru_cache(maxsize=1 << 16)
def _is_verb(word: str, wordnet) -> bool:
    """Tells what zebras do, as they `stand`, from a dog's `bed`."""
    verb = wordnet.morphy(word, pos="v")
    if not verb or word in _LIKENESS or word.endswith("ed"):
        return False
    noun = wordnet.morphy(word, pos="n")
    as_noun = _count(wordnet, noun, "n") if noun else 0
    return _count(wordnet, verb, "v") > _VERB_RATIO * as_noun


def _longest(before: str, words: tuple[str, ...], wordnet) -> tuple[int, str]:
    """Returns how many words are one noun, and its synset; "" if unsure."""
    may_be_one = not (
        # `An elephant drinking water` is no drinking water.
        words[0].endswith("ing")
        and before not in _BEFORE
        and _noun_of(before, wordnet)
    )
    for count in range(len(words), 1, -1) if may_be_one else ():
        synset = _compound(words[:count], wordnet)
        if synset is not None:
            return count, synset
    # `to skateboard` is no skateboard.
    is_verb = before == "to" and wordnet.morphy(words[0], pos="v")
    is_unseen = before == "the" and words[0] in _UNSEEN
    return 1, "" if is_verb or is_unseen else _single(words[0], wordnet)


@functools.lru_cache(maxsize=1 << 16)
def _compound(words: tuple[str, ...], wordnet) -> str | None:
    """Returns the synset of words that are one noun; None if they are not."""
    if not _FUNCTION_WORDS.isdisjoint(words[::2]):
        return None
    adjective = bool(wordnet.lemmas(words[0], pos="a"))
    lemma = _noun_of("_".join(words), wordnet)
    if not lemma and len(words) == 2 and not adjective:
        # `wine glass` is a wineglass, a `black bird` no blackbird.
        plain = _FUNCTION_WORDS.isdisjoint(words)
        if plain and all(_noun_of(word, wordnet) for word in words):
            lemma = _noun_of("".join(words), wordnet)
    if not lemma:
        return None
    synset = _sure(lemma, wordnet)
    if synset is None:
        return ""
    # A black cat is a cat that is black, whatever trappers call a marten.
    last = _noun_of(words[-1], wordnet)
    above = {synset, *synset.closure(wn.hypernyms_of)}
    if adjective and last:
        if above.isdisjoint(wordnet.synsets(last, pos="n")):
            return ""
    return synset.name()


@functools.lru_cache(maxsize=1 << 16)
def _single(word: str, wordnet) -> str:
    """Returns the synset of one word; "" if it is none, or not surely."""
    lemma = _noun_of(word, wordnet)
    if not lemma or not _is_used_as_noun(word, lemma, wordnet):
        return ""
    synset = _sure(lemma, wordnet)
    if synset is None:
        return ""
    others = [s for s in wordnet.synsets(lemma, pos="n") if s != synset]
    met = _met(synset, lemma)
    doings = (s for s in others if s.lexname() in _DOINGS)
    if others and (not met or any(_met(s, lemma) > met for s in doings)):
        return ""
    # Controllers are seldom accountants.
    is_person = synset.lexname() == "noun.person"
    if others and is_person and synset.lemma_names()[0].lower() != lemma:
        return ""
    return synset.name()


@functools.lru_cache(maxsize=1 << 16)
def _noun_of(text: str, wordnet) -> str:
    lemma = wordnet.morphy(text, pos="n") if text else None
    return lemma if lemma and is_noun(lemma, wordnet) else ""


def _is_used_as_noun(word: str, lemma: str, wordnet) -> bool:
    """Tells whether a word is a noun far more often than anything else."""
    if len(word) < 3 or word in _NO_THINGS or word in _BEHIND | _BEFORE:
        return False
    other = sum(
        _count(wordnet, base, pos)
        for pos in "var"
        if (base := wordnet.morphy(word, pos=pos))
    )
    return other * _NOUN_RATIO <= _count(wordnet, lemma, "n")


def _count(wordnet, lemma: str, pos: str) -> int:
    return sum(found.count() for found in wordnet.lemmas(lemma, pos=pos))


def _met(synset, lemma: str) -> int:
    return sum(
        found.count()
        for found in synset.lemmas()
        if found.name().lower() == lemma.lower()
    )


def _sure(lemma: str, wordnet):
    return class_senses.sure_sense(
        wordnet.synsets(lemma, pos="n"),
        lemma,
        _visible(wordnet),
        "",
        wordnet,
    )


@functools.lru_cache(maxsize=2)
def _visible(wordnet):
    visible = visible_classes(wordnet)
    return functools.lru_cache(maxsize=None)(
        lambda synset: visible(wn.wnid_of(synset))
    )
