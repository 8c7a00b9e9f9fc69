"""Which sense of a noun the name of a class in an image means, and how surely.

WordNet orders senses by how often they were met in text, and by nothing where
they were not. Names of classes are of things one sees, so that order gives a
`tiger` that is a fierce person and a `leopard` that is a fur.

A sense is sure where the evidence leaves one: the name has no other that one
can see and that goes by this name first; or all others are of a kind that
yields (a person to an animal); or text and WordNet's own compounds agree
(`bunk bed`, `day bed` are beds to sleep in). A guess is no sense.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.lemmas import words_of

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset

# WordNet's lexicographer files, https://wordnet.princeton.edu/documentation/
# lexnames5wn. A sense yields to one of the kinds after it.
_YIELDS_TO = {
    "noun.food": {"noun.animal"},
    "noun.plant": {"noun.food"},
    "noun.substance": {"noun.animal", "noun.plant", "noun.food"},
    "noun.location": {
        "noun.animal",
        "noun.artifact",
        "noun.food",
        "noun.plant",
    },
    "noun.person": {
        "noun.animal",
        "noun.artifact",
        "noun.food",
        "noun.communication",
        "noun.plant",
    },
}
_THINGS = frozenset(
    {
        "noun.Tops",
        "noun.animal",
        "noun.artifact",
        "noun.body",
        "noun.communication",
        "noun.food",
        "noun.object",
        "noun.person",
        "noun.phenomenon",
        "noun.plant",
        "noun.substance",
    }
)
# edible_fruit, nut: a vegetable is as often seen as the plant in its field.
_PICKED = ("n07705931", "n13136556")

# A person met so often is meant: man, boy; not pitcher (15), ruler (4).
_KNOWN_PERSON = 20
# Met so often it yields to nothing, and the counts decide: baby, a child.
_MET_PERSON = 10
# Met so rarely, the order of senses says nothing.
_RARE = 1
# Least count, and least ratio to the next, of a sense that text prefers.


_MET = 3
_TIMES = 4
_DENIAL = re.compile(r"\b(?:no|non|not|without)\b")
# The same where compounds may say otherwise: most `cars` are of railways.
_MEANT = 20
_MANY_TIMES = 10
# Words of a gloss that say nothing of what is meant.
_STOP = frozenset(
    "a an and any as at by for from in into is it of on one or other part "
    "small large something that the thing to type used usually which "
    "with".split()
)


def rank(senses: Sequence[Synset], lemma: str) -> list[Synset]:
    """Returns the senses of a noun, the most likely first.

    1. Senses of a kind that cannot be seen (WordNet's file of acts, states,
       quantities, ...) and named individuals (Sombrero, an island) come last.
    2. So does, before those, a sense counted at most once in WordNet's texts
       that is better known by another name: a `turtle` is no turtleneck.
    3. Animals come before food, food before plants, all three before
       substances (fur, wood), and things before persons, unless the person is
       well known: counted 20 times or more.
    4. Else WordNet's order.
    """
    kinds = {s.lexname() for s in senses if not s.instance_hypernyms()}
    order = sorted(
        enumerate(senses),
        key=lambda item: (*_key(item[1], lemma, kinds), item[0]),
    )
    return [synset for _, synset in order]


def sure_sense(
    senses: Sequence[Synset],
    lemma: str,
    visible: Callable[[Synset], bool],
    hint: str,
    wordnet,
) -> Synset | None:
    """Returns the sense that the name of a class surely means, if any.

    Args:
        senses: all of the noun, in WordNet's order.
        lemma: the noun.
        visible: tells whether an image can show a sense.
        hint: other words about it: a qualifier, a definition; "" if none.
        wordnet: as `load_wordnet` returns it.
    """
    seen = [s for s in senses if visible(s)]
    if hint and len(seen) > 1:
        # Who qualifies a name does not mean its first sense.
        senses = _hinted(seen, hint, wordnet)
        seen = list(senses)
    if not seen:
        return None
    named = [s for s in seen if not _is_side_name(s, lemma)]
    hidden = [s for s in senses if s not in seen and s.lexname() in _THINGS]
    if not named:
        # `busbar` for "bus": sure only where nothing else goes by the name.
        return seen[0] if len(seen) == len(senses) == 1 else None
    if len(named) > 1:
        named = _without_yielding(named, lemma)
    best = max(named, key=lambda s: _count(s, lemma))
    others = [s for s in [*named, *hidden] if s != best]
    most = max((_count(s, lemma) for s in others), default=0)
    if not hint and _is_rather_no_noun(best, lemma, wordnet):
        return None
    if len(named) == 1:
        if best.lexname() == "noun.person":
            # Not met, it is no more likely than what no image shows: a
            # `scratch` is a mark, not a rival who withdrew.
            most = max(_count(s, lemma) for s in senses)
        return best if most <= _count(best, lemma) else None
    if _other_name(best, lemma) and _count(best, lemma) < _MEANT:
        return None
    return best if _outweighs(best, named, lemma, most, wordnet) else None


def _is_rather_no_noun(best: Synset, lemma: str, wordnet) -> bool:
    """Tells whether text means a deed or a property by a word: `stop`, `yield`.

    A person is never met by its name where others are: `neutral`.
    """
    count = _count(best, lemma)
    person = best.lexname() == "noun.person"
    if count > (0 if person else _RARE):
        return False
    met = sum(
        _count(synset, lemma)
        for pos in "vars"
        for synset in wordnet.synsets(lemma, pos=pos)
    )
    return met >= (1 if person else _MEANT)


def are_mostly_seen(
    senses: Sequence[Synset], seen: Sequence[Synset], name: str
) -> bool:
    """Tells whether text does not mean what no image shows by a name.

    Most `smoke` is no cigar.

    Args:
        senses: all of the name.
        seen: those of them that an image can show.
        name: in one of its spellings.
    """
    lemma = "_".join(words_of(name))
    hidden = [_count(s, lemma) for s in senses if s not in seen]
    return max(hidden, default=0) <= max(
        (_count(s, lemma) for s in seen), default=0
    )


def sure_synset(
    senses: Sequence[Synset], visible: Callable[[Synset], bool]
) -> Synset | None:
    """Returns what a word of another language surely means, if anything.

    WordNet's texts are English: a sense counts by all its English names.
    """
    seen = [s for s in senses if visible(s)]
    kinds = {s.lexname() for s in seen}
    left = [
        s for s in seen if kinds.isdisjoint(_YIELDS_TO.get(s.lexname(), ()))
    ]
    counts = [sum(name.count() for name in s.lemmas()) for s in left]
    if len(left) < 2:
        return left[0] if left else None
    most = max(counts)
    second = sorted(counts)[-2]
    if most < _MET or second * _TIMES > most:
        return None
    return left[counts.index(most)]


def _outweighs(
    best: Synset, named: Sequence[Synset], lemma: str, most: int, wordnet
) -> bool:
    """Tells whether text, and compounds where there are some, prefer it."""
    count = _count(best, lemma)
    if count >= _MEANT and most * _MANY_TIMES <= count:
        return True
    found = kinds_of_compounds(lemma, named, wordnet)
    if not found:
        return count >= _MET and most * _TIMES <= count
    first, second = (*found.most_common(2), (None, 0))[:2]
    if first[0] != best or count <= most:
        return False
    clear = second[1] * _TIMES <= first[1]
    return (clear and first[1] > 1) or (
        count >= _MET and most * _TIMES <= count
    )


def _without_yielding(senses: list[Synset], lemma: str) -> list[Synset]:
    kinds = {s.lexname() for s in senses}
    most = max(_count(s, lemma) for s in senses)
    picked = any(_is_picked(s) for s in senses)
    kept = []
    for synset in senses:
        kind, count = synset.lexname(), _count(synset, lemma)
        yields = not kinds.isdisjoint(_YIELDS_TO.get(kind, ()))
        if kind == "noun.person" and count >= _MET_PERSON:
            yields = False
        if kind == "noun.plant":
            yields = picked
        # Meat has the name of its animal; of eels one sees both.
        if kind == "noun.food" and most <= _RARE - 1:
            yields = False
        if count > _RARE and count == most and kind != "noun.person":
            yields = False
        if not yields:
            kept.append(synset)
    return kept


def _is_picked(synset: Synset) -> bool:
    return synset.lexname() == "noun.food" and any(
        wn.wnid_of(s) in _PICKED
        for s in (synset, *synset.closure(wn.hypernyms_of))
    )


def _hinted(senses: Sequence[Synset], hint: str, wordnet) -> list[Synset]:
    """Returns the senses that a hint points to; none where it says nothing.

    Those below what it names; else those whose gloss and names above share
    most words with it, after Lesk, "Automatic sense disambiguation using
    machine readable dictionaries" (1986).
    """
    word = hint.lower().replace(" ", "_")
    base = wordnet.morphy(word, pos="n") or word
    below = [s for s in senses if base in _names_above(s)]
    if below:
        return below
    if _DENIAL.search(hint.lower()):
        return []
    wanted = _stems([hint], wordnet)
    scores = [
        len(wanted & _stems([s.definition(), *_names_above(s)], wordnet))
        for s in senses
    ]
    best = max(scores, default=0)
    return [
        synset
        for synset, score in zip(senses, scores, strict=True)
        if score == best > 0
    ]


def _names_above(synset: Synset) -> set[str]:
    return {
        name.lower()
        for s in (synset, *synset.closure(wn.hypernyms_of))
        for name in s.lemma_names()
    }


def _stems(texts: Iterable[str], wordnet) -> set[str]:
    words = {
        word
        for text in texts
        for word in re.findall(r"[a-z]+", text.lower())
        if word not in _STOP
    }
    return {
        wordnet.morphy(w, pos="n") or wordnet.morphy(w, pos="v") or w
        for w in words
    }


def kinds_of_compounds(
    word: str, senses: Sequence[Synset], wordnet
) -> Counter[Synset]:
    """Counts WordNet's compounds that end in a word below each sense of it.

    `fire_engine`, `steam_engine` are below the motor, none below the others.
    """
    found: Counter[Synset] = Counter()
    for lemma in _compounds(wordnet).get(word.lower(), ()):
        above = {
            h
            for synset in wordnet.synsets(lemma, pos="n")
            for h in (synset, *synset.closure(wn.hypernyms_of))
        }
        found.update(s for s in senses if s in above)
    return found


def compounds_of(word: str, wordnet) -> Sequence[str]:
    """Returns WordNet's compounds that end in a word: `bed` -> `bunk_bed`."""
    return _compounds(wordnet).get(word.lower(), ())


@functools.lru_cache(maxsize=2)
def _compounds(wordnet) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for lemma in sorted(wordnet.all_lemma_names(pos="n")):
        before, _, last = lemma.rpartition("_")
        if before:
            found[last].append(lemma)
    return found


def _key(
    synset: Synset, lemma: str, kinds: set[str]
) -> tuple[bool, bool, bool]:
    kind = synset.lexname()
    unseen = kind not in _THINGS or bool(synset.instance_hypernyms())
    yields = not kinds.isdisjoint(_YIELDS_TO.get(kind, ()))
    if kind == "noun.person" and _count(synset, lemma) >= _KNOWN_PERSON:
        yields = False
    return unseen, _is_side_name(synset, lemma), yields


def _is_side_name(synset: Synset, lemma: str) -> bool:
    """Tells whether the synset is better known by another name."""
    return _count(synset, lemma) <= _RARE and _other_name(synset, lemma)


def _other_name(synset: Synset, lemma: str) -> bool:
    return synset.lemma_names()[0].lower() != lemma.lower()


def _count(synset: Synset, lemma: str) -> int:
    return sum(
        found.count()
        for found in synset.lemmas()
        if found.name().lower() == lemma.lower()
    )
