"""One parent a class: how a WordNet vocabulary is forced into a tree.

The published hierarchy of Tencent ML-Images keeps one parent a class and says
nowhere how it was chosen. The rules here were measured against it, see
`tests/bench/hierarchy.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError

# The first classes of the published vocabulary: numbered level by level down
# one tree. The 1,748 classes after them were added to that tree.
PUBLISHED_FIRST_CLASSES = 9418

NEAREST = "nearest"
LONGEST = "longest"
SHORTEST = "shortest"
FIRST = "first"
RULES = (NEAREST, FIRST, LONGEST, SHORTEST)


def single_parent(
    vocabulary: Vocabulary,
    rule: str = NEAREST,
    without_only_children: int = 0,
    wordnet=None,
) -> Hierarchy:
    """Links every class to one of its WordNet ancestors.

    Args:
        vocabulary: the classes; those that are not active stay apart.
        rule: how the parent is chosen among the ancestors in the vocabulary:
            `nearest` (fewest hypernym edges; of several the lowest WordNet
            id), or the first one on the hypernym path of one kind: `first`
            (always the first hypernym by WordNet id), `longest`, `shortest`.
        without_only_children: so many of the first classes make a tree of
            their own, in which from the bottom up an only child becomes its
            parent's sibling. The classes after them are then linked to the
            nearest of all. `PUBLISHED_FIRST_CLASSES` gives the published
            tree but for 1.3 % of its parents; 0 does none of this.
        wordnet: as `load_wordnet` returns it.

    Raises:
        InputError: an unknown rule, or a class that WordNet 3.0 lacks.
    """
    if rule not in RULES:
        raise InputError(
            f"rule must be one of {', '.join(RULES)}; received: {rule!r}"
        )
    wordnet = wordnet or wn.load_wordnet()
    count = without_only_children
    parents: list[int | None] = []
    for c in vocabulary:
        limit = count if c.index < count else len(vocabulary)
        find = _nearest if rule == NEAREST else _PATH_RULES[rule]
        synset = wn.synset_of(c.wnid, wordnet)
        known = _Known(vocabulary, limit)
        parents.append(find(synset, known) if c.is_active else None)
    _lift_only_children(parents, count)
    return Hierarchy([() if p is None else (p,) for p in parents])


class _Known:
    """Looks up active classes under an index."""

    def __init__(self, vocabulary: Vocabulary, limit: int):
        self._vocabulary = vocabulary
        self._limit = limit

    def index(self, synset) -> int | None:
        wnid = wn.wnid_of(synset)
        if wnid not in self._vocabulary:
            return None
        index = self._vocabulary.index_of(wnid)
        merged = self._vocabulary[index].wnid != wnid
        return index if index < self._limit and not merged else None


def _hypernyms(synset) -> list:
    return sorted(wn.hypernyms_of(synset), key=lambda s: s.offset())


def _nearest(synset, known: _Known) -> int | None:
    level = [synset]
    while level:
        level = [above for s in level for above in _hypernyms(s)]
        for above in level:
            index = known.index(above)
            if index is not None:
                return index
    return None


def _on_path(path: list, known: _Known) -> int | None:
    """Returns the last class above the end of a path from the top down."""
    for synset in reversed(path[:-1]):
        index = known.index(synset)
        if index is not None:
            return index
    return None


def _first(synset, known: _Known) -> int | None:
    path = [synset]
    while above := _hypernyms(path[0]):
        path.insert(0, above[0])
    return _on_path(path, known)


def _by_length(choose: Callable) -> Callable:
    def find(synset, known: _Known) -> int | None:
        return _on_path(choose(synset.hypernym_paths(), key=len), known)

    return find


_PATH_RULES: dict[str, Callable] = {
    FIRST: _first,
    LONGEST: _by_length(max),
    SHORTEST: _by_length(min),
}


def _lift_only_children(parents: list[int | None], count: int) -> None:
    """Makes every only child its parent's sibling, from the bottom up.

    Lifting gives the class above a further child, so a chain of three ends as
    a pair below its top. Roots keep an only child.
    """
    children: list[set[int]] = [set() for _ in range(count)]
    for index, parent in enumerate(parents[:count]):
        if parent is not None:
            children[parent].add(index)
    depth = Hierarchy(
        [() if p is None else (p,) for p in parents[:count]]
    ).depth
    for index in sorted(range(count), key=lambda i: -depth[i]):
        above = parents[index]
        if len(children[index]) == 1 and above is not None:
            child = children[index].pop()
            parents[child] = above
            children[above].add(child)
