"""The is-a relation between the classes of a vocabulary.

WordNet is a DAG (a class may have several parents); the published hierarchy
of Tencent ML-Images keeps one parent a class. Both are held the same way.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np

from beam_jobs.classes import wordnet as wn
from beam_jobs.classes.own_classes import find_synset
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.errors import InputError
from beam_jobs.files.text_files import read_tsv

_HEADER = ("wnid", "parent_wnid")


class Hierarchy:
    """Parents of every class, by index, in any order (no cycles).

    Args:
        parents: for each class the indices of its direct parents.

    Raises:
        InputError: a parent index out of range, or a cycle (named).

    Example:
        >>> tree = Hierarchy([(), (0,), (1,), (1,)])
        >>> tree.ancestors(2)
        (0, 1)
        >>> tree.is_leaf.tolist()
        [False, False, True, True]
    """

    def __init__(self, parents: Sequence[Iterable[int]]):
        self.parents = tuple(tuple(sorted(set(p))) for p in parents)
        count = len(self.parents)
        for child, its_parents in enumerate(self.parents):
            for parent in its_parents:
                if not 0 <= parent < count:
                    raise InputError(
                        f"class {child} has parent {parent}; allowed: 0 to "
                        f"{count - 1}"
                    )
        self._ancestors = _close(self.parents)

    def __len__(self) -> int:
        return len(self.parents)

    def ancestors(self, index: int) -> tuple[int, ...]:
        """Returns all ancestors of a class, itself excluded, ascending."""
        return self._ancestors[index]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Direct children of every class, ascending."""
        lists: list[list[int]] = [[] for _ in self.parents]
        for child, its_parents in enumerate(self.parents):
            for parent in its_parents:
                lists[parent].append(child)
        return tuple(tuple(c) for c in lists)

    def descendants(self, index: int) -> tuple[int, ...]:
        """Returns all descendants of a class, itself excluded, ascending."""
        return self._descendants[index]

    @cached_property
    def _descendants(self) -> tuple[tuple[int, ...], ...]:
        lists: list[list[int]] = [[] for _ in self.parents]
        for index in range(len(self)):
            for ancestor in self.ancestors(index):
                lists[ancestor].append(index)
        return tuple(tuple(d) for d in lists)

    @cached_property
    def is_leaf(self) -> np.ndarray:
        """bool [classes]: True where a class has no children."""
        return np.array([not c for c in self.children])

    @cached_property
    def roots(self) -> tuple[int, ...]:
        """Classes without parents, ascending."""
        return tuple(i for i, p in enumerate(self.parents) if not p)

    @cached_property
    def depth(self) -> np.ndarray:
        """int32 [classes]: edges on the longest path up to a root."""
        depth = np.zeros(len(self), np.int32)
        # A class has more ancestors than any of its ancestors has.
        for i in sorted(range(len(self)), key=lambda i: len(self.ancestors(i))):
            if self.parents[i]:
                depth[i] = 1 + max(depth[p] for p in self.parents[i])
        return depth

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all edges."""
        return hashlib.sha256(repr(self.parents).encode()).hexdigest()

    def save(
        self, path: str | os.PathLike[str], vocabulary: Vocabulary
    ) -> None:
        """Writes `wnid<TAB>parent_wnid` lines; a root has an empty parent."""
        rows = ["\t".join(_HEADER)]
        for child, its_parents in enumerate(self.parents):
            for parent in its_parents or (None,):
                above = "" if parent is None else vocabulary[parent].wnid
                rows.append(f"{vocabulary[child].wnid}\t{above}")
        Path(path).write_text("\n".join(rows) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], vocabulary: Vocabulary
    ) -> Hierarchy:
        """Reads what `save` wrote.

        Raises:
            InputError: no such file, a malformed line, a class or parent that
                the vocabulary lacks (file:line), or a cycle.
        """
        # By its own index: merged and removed classes have rows as well.
        index_of = {c.wnid: c.index for c in vocabulary}
        parents: list[list[int]] = [[] for _ in vocabulary]
        for line, row in read_tsv(path, _HEADER):
            for wnid, what in zip(row, ("class", "parent"), strict=True):
                if wnid not in index_of and (wnid or what == "class"):
                    raise InputError(
                        f"{path}:{line}: {what} {wnid} is not in the "
                        f"vocabulary of {len(vocabulary)} classes"
                    )
            child, parent = row
            if parent:
                parents[index_of[child]].append(index_of[parent])
        return cls(parents)

    @classmethod
    def from_wordnet(
        cls,
        vocabulary: Vocabulary,
        wordnet=None,
        own_parents: Mapping[str, str] | None = None,
    ) -> Hierarchy:
        """Links every class to its nearest ancestors within the vocabulary.

        On each hypernym path upwards the first class of the vocabulary is a
        parent, unless it is also an ancestor of another parent. The target of
        a merged class stands for it, removed classes are passed through, and
        neither has parents itself. A class that WordNet lacks is linked to
        the parent named for it, or upwards from there; without one it is a
        root.

        Args:
            vocabulary: the classes.
            wordnet: as `load_wordnet` returns it.
            own_parents: id of the parent by id of such a class.

        Raises:
            InputError: merges or own parents that put a class above its own
                ancestors.
        """
        return cls(())._linked(vocabulary, wordnet, own_parents or {})

    def grown(
        self,
        vocabulary: Vocabulary,
        wordnet=None,
        own_parents: Mapping[str, str] | None = None,
    ) -> Hierarchy:
        """Returns the hierarchy of a vocabulary that grew from this one's.

        Old classes keep their parents, so a published tree stays the tree it
        is: a new class between an old one and its parent is linked upwards
        only. New classes, and old ones without parents, are linked as
        `from_wordnet` does it. The parents of a class that was removed, and
        the target of one that was merged, take its place.

        Args:
            vocabulary: the first classes are those of this hierarchy.
            wordnet, own_parents: as for `from_wordnet`.

        Raises:
            InputError: as `from_wordnet`.
        """
        return self._linked(vocabulary, wordnet, own_parents or {})

    def _linked(
        self, vocabulary: Vocabulary, wordnet, own_parents: Mapping[str, str]
    ) -> Hierarchy:
        wordnet = wordnet or wn.load_wordnet()
        kept = {
            c.index: self._kept_parents(c.index, vocabulary)
            for c in vocabulary
            if c.is_active and c.index < len(self) and self.parents[c.index]
        }
        found: list[set[int]] = [
            kept.get(c.index)
            or nearest(c.wnid, vocabulary, wordnet, own_parents)
            if c.is_active
            else set()
            for c in vocabulary
        ]
        closed = _close(tuple(tuple(f) for f in found))
        return Hierarchy(
            [
                near
                if kept.get(index)
                else {p for p in near if not any(p in closed[q] for q in near)}
                for index, near in enumerate(found)
            ]
        )

    def _kept_parents(self, child: int, vocabulary: Vocabulary) -> set[int]:
        """Replaces removed parents by theirs, merged ones by their target."""
        found: set[int] = set()
        waiting = list(self.parents[child])
        while waiting:
            parent = waiting.pop()
            wnid = vocabulary[parent].wnid
            target = vocabulary.index_of(wnid) if wnid in vocabulary else child
            # A class above may be merged into this one, or into one below.
            below = target < len(self) and child in self.ancestors(target)
            if target == child or below:
                waiting.extend(self.parents[parent])
            else:
                found.add(target)
        return found


def nearest(
    wnid: str,
    vocabulary: Vocabulary,
    wordnet,
    own_parents: Mapping[str, str],
) -> set[int]:
    """Returns the nearest classes of a vocabulary above a class."""
    found: set[int] = set()
    synset = find_synset(wnid, wordnet)
    passed = [wnid]
    while synset is None:
        parent = own_parents.get(passed[-1], "")
        if parent in vocabulary:
            return {vocabulary.index_of(parent)}
        if not parent:
            return found
        if parent in passed:
            raise InputError(
                "parents of classes lead in a circle: "
                f"{' -> '.join([*passed, parent])}"
            )
        passed.append(parent)
        synset = find_synset(parent, wordnet)
    waiting = wn.hypernyms_of(synset)
    seen = set(waiting)
    while waiting:
        synset = waiting.pop()
        above = wn.wnid_of(synset)
        if above in vocabulary:
            index = vocabulary.index_of(above)
            target = find_synset(vocabulary[index].wnid, wordnet)
            # A class above may be merged into this one, or into one below.
            if (
                above == vocabulary[index].wnid
                or target is None
                or not _is_at_or_below(target, wnid)
            ):
                found.add(index)
                continue
        new = [s for s in wn.hypernyms_of(synset) if s not in seen]
        seen.update(new)
        waiting.extend(new)
    return found


def _is_at_or_below(synset, wnid: str) -> bool:
    return any(
        wn.wnid_of(s) == wnid
        for s in (synset, *synset.closure(wn.hypernyms_of))
    )


def _close(parents: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Returns all ancestors of every class.

    Raises:
        InputError: a cycle, named.
    """
    # From the roots down: a parent may come after its child.
    order = TopologicalSorter(dict(enumerate(parents))).static_order()
    closed: list[set[int]] = [set() for _ in parents]
    try:
        for index in order:
            above = (closed[parent] for parent in parents[index])
            closed[index] = set(parents[index]).union(*above)
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        raise InputError(f"the hierarchy has a cycle: {circle}") from None
    return [tuple(sorted(c)) for c in closed]
