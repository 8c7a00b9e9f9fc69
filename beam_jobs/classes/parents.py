"""What a class that WordNet lacks is a kind of, where that is sure.

A name's last word is its kind: a dog bed is a bed. A guess would give images
labels that they do not have, so nothing is proposed past a denial (`no entry
sign`), for what only looks like its kind (`rubber duck`), nor where the last
word of a proper name is a word by chance (`MacBook Pro`, `Ford Mustang`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from beam_jobs.classes import senses as class_senses
from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.lemmas import (
    denies,
    enumeration,
    heads,
    split_qualifier,
)

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset

# What is called so is an image, a copy or a remnant of the thing.
IMITATIONS = frozenset(
    "artificial broken cartoon chocolate counterfeit drawn dummy fake former "
    "gingerbread gummy half imitation inflatable knock lego like miniature "
    "mock model near origami painted paper photo picture plastic plush pseudo "
    "replica robot rubber semi statue stuffed teddy toy virtual".split()
)
# Kinds of thing that a last word may be; a person's is too often a name.
_KINDS = frozenset(
    {
        "noun.animal",
        "noun.artifact",
        "noun.body",
        "noun.communication",
        "noun.food",
        "noun.object",
        "noun.plant",
    }
)
# Of a capitalised last word: makers name cars after animals.
_KINDS_OF_TITLES = frozenset({"noun.artifact", "noun.food"})
# Least share of WordNet's compounds of the last word that are of its kind.
_LEAST_SHARE = 0.4
_LEAST_OF_SENSES = 0.75
# Limit of what is common to several senses; farther up says too little.
_COMMON_EDGES = 3

Visible = Callable[["Synset"], bool]


def find_parent(name: str, visible: Visible, wordnet) -> str:
    """Returns the WordNet id of what a name surely is a kind of; "" if none.

    Args:
        name: as the source spells it.
        visible: tells whether an image can show a synset.
        wordnet: as `load_wordnet` returns it.
    """
    if denies(name):
        return ""
    base, _ = split_qualifier(name)
    listed = enumeration(base, wordnet)
    if listed:
        sure = [
            class_senses.sure_sense(
                wordnet.synsets(lemma, pos="n"), lemma, visible, "", wordnet
            )
            for lemma in listed
        ]
        return common_kind([s for s in sure if s], visible) if all(sure) else ""
    title = base.replace("_", " ").split()[-1:]
    titled = bool(title) and len(base.split()) > 1 and title[0][:1].isupper()
    for before, lemma in heads(base, wordnet):
        if not IMITATIONS.isdisjoint(before):
            return ""
        synset = _kind(lemma, visible, wordnet)
        if synset is None:
            continue
        if not _fits_modifiers(synset, before, wordnet):
            return ""
        if titled and (
            synset.lexname() not in _KINDS_OF_TITLES
            or not all(wordnet.synsets(word) for word in before)
        ):
            return ""
        return wn.wnid_of(synset)
    return ""


def _fits_modifiers(synset: Synset, before: Sequence[str], wordnet) -> bool:
    """Tells whether words before a living thing say which one it is.

    `wild cat`, `bird dog`; but not `ford mustang`.
    """
    if synset.lexname() not in ("noun.animal", "noun.plant"):
        return True
    return all(
        wordnet.synsets(word, pos="a")
        or any(
            s.lexname() in ("noun.animal", "noun.plant")
            for s in wordnet.synsets(word, pos="n")
        )
        for word in before
    )


def _kind(lemma: str, visible: Visible, wordnet) -> Synset | None:
    """Returns the sense of a last word, where it surely is a kind of thing."""
    all_senses = wordnet.synsets(lemma, pos="n")
    synset = class_senses.sure_sense(all_senses, lemma, visible, "", wordnet)
    compounds = class_senses.compounds_of(lemma, wordnet)
    found = class_senses.kinds_of_compounds(lemma, all_senses, wordnet)
    if synset is None and found:
        best, count = found.most_common(1)[0]
        if visible(best) and count >= _LEAST_OF_SENSES * found.total():
            synset = best
    if synset is None or synset.lexname() not in _KINDS:
        return None
    seen = [s for s in all_senses if visible(s)]
    if not class_senses.are_mostly_seen(all_senses, seen, lemma):
        return None
    shown = [
        c
        for c in compounds
        if any(visible(s) for s in wordnet.synsets(c, pos="n"))
    ]
    if len(shown) > 2 and found[synset] < _LEAST_SHARE * len(shown):
        return None
    return synset


def common_kind(synsets: Sequence[Synset], visible: Visible) -> str:
    """Returns the WordNet id nearest above several synsets, if it is near."""
    if len(synsets) < 2:
        return ""
    above = set.intersection(*(_closure(s) for s in synsets))
    found = [
        (distance, wn.wnid_of(synset))
        for synset in above
        if (distance := _distance(synset, synsets)) <= _COMMON_EDGES
        and visible(synset)
    ]
    return min(found)[1] if found else ""


def _closure(synset: Synset) -> set[Synset]:
    return {synset, *synset.closure(wn.hypernyms_of)}


def _distance(above: Synset, synsets: Sequence[Synset]) -> int:
    """Returns edges from the farthest of the synsets up to `above`."""
    distances = [
        [d for synset, d in s.hypernym_distances() if synset == above]
        for s in synsets
    ]
    return max(min(d) for d in distances)
