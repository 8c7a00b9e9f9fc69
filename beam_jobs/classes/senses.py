"""Which sense of a noun the name of a class in a picture means.

WordNet orders senses by how often they were met in text, and by nothing where
they were not. Names of classes are of things one sees, so that order gives a
`tiger` that is a fierce person and a `leopard` that is a fur.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nltk.corpus.reader.wordnet import Synset


# WordNet's lexicographer files, https://wordnet.princeton.edu/documentation/
# lexnames5wn. A sense yields to one of the kinds after it.
_YIELDS_TO = {
    "noun.food": {"noun.animal"},
    "noun.plant": {"noun.food"},
    "noun.substance": {"noun.animal", "noun.plant", "noun.food"},
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

# A person met so often is meant: man, boy; not pitcher (15), ruler (4).
_KNOWN_PERSON = 20
# Met so rarely, the order of senses says nothing.
_RARE = 1


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


def _key(
    synset: Synset, lemma: str, kinds: set[str]
) -> tuple[bool, bool, bool]:
    kind = synset.lexname()
    count = _count(synset, lemma)
    unseen = kind not in _THINGS or bool(synset.instance_hypernyms())
    yields = not kinds.isdisjoint(_YIELDS_TO.get(kind, ()))
    if kind == "noun.person" and count >= _KNOWN_PERSON:
        yields = False
    other_name = synset.lemma_names()[0].lower() != lemma.lower()
    return unseen, count <= _RARE and other_name, yields


def _count(synset: Synset, lemma: str) -> int:
    return sum(
        found.count()
        for found in synset.lemmas()
        if found.name().lower() == lemma.lower()
    )
