"""From the answers for one image to the tree that the page shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from serving.api.prediction import Prediction, Tag

# Scores of two versions that differ by less are taken as the same.
NOTABLE = 0.1
MOST_ROWS = 100


@dataclass(frozen=True)
class Choice:
    """Which classes of the answers are shown.

    Attributes:
        threshold: a class is a tag from this score on; None for the
            thresholds that the model brings, one a class.
        most_specific: leaves out classes above other tags.
        search: only classes with this text in their names or id.
        most_rows: at most so many, the best ones.
    """

    threshold: float | None = None
    most_specific: bool = False
    search: str = ""
    most_rows: int = MOST_ROWS


@dataclass(frozen=True)
class Node:
    """A class in the tree.

    Attributes:
        name, wnid, leaf: of the class.
        scores: one a column, 0 to 1; None where the answer lacks the class.
        tags: one a column: the class is a tag there; None where that is not
            known, because the answer ends before the first that is none.
        also_under: names of further parents; a class appears only once.
        children: the classes below it that are shown, best first.
    """

    name: str
    wnid: str
    leaf: bool
    scores: tuple[float | None, ...]
    tags: tuple[bool | None, ...]
    also_under: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()

    @property
    def best(self) -> float:
        """The highest of its scores."""
        return max(s for s in self.scores if s is not None)

    @property
    def is_tag(self) -> bool:
        """It is a tag in some column; else it is there for those below."""
        return any(self.tags)

    @property
    def differs(self) -> bool:
        """The columns disagree: a tag in some only, or scores far apart."""
        known = [s for s in self.scores if s is not None]
        apart = self.is_tag and max(known) - min(known) >= NOTABLE
        return {True, False} <= {*self.tags} or apart


@dataclass(frozen=True)
class TagTree:
    """What is shown of one image.

    Attributes:
        roots: the classes without a shown parent, best first.
        tags: how many classes are tags, in any column.
        differences: nodes on which the columns disagree.
        left_out: tags beyond `most_rows`.
    """

    roots: tuple[Node, ...]
    tags: int = 0
    differences: int = 0
    left_out: int = 0


def tag_tree(answers: Sequence[Prediction], choice: Choice) -> TagTree:
    """Puts the answers for one image into one tree.

    Parents come from the answers: a class stands below that one of its
    parents that scores best, of those shown. Classes above a tag are shown
    too, tags or not.

    Args:
        answers: a valid one a column, of versions to compare.
    """
    nodes = _merge(answers, choice)
    parents = _parents(answers)
    chosen = [n.wnid for n in _best_first(nodes.values()) if n.is_tag]
    if choice.most_specific:
        above = _above(chosen, parents)
        chosen = [w for w in chosen if w not in above]
    if choice.search:
        chosen = [w for w in chosen if _matches(nodes[w], choice.search)]
    tags = len(chosen)
    chosen = chosen[: choice.most_rows]
    shown = {*chosen}
    if not choice.most_specific:
        shown |= _above(chosen, parents) & nodes.keys()
    roots = _grow({w: nodes[w] for w in shown}, parents)
    different = sum(n.differs for r in roots for n in walk(r))
    return TagTree(roots, tags, different, tags - len(chosen))


def walk(node: Node) -> Iterator[Node]:
    """Yields a node and all below it, in the order shown."""
    yield node
    for child in node.children:
        yield from walk(child)


def _merge(answers: Sequence[Prediction], choice: Choice) -> dict[str, Node]:
    columns = [{t.wnid: t for t in a.tags} for a in answers]
    known = {t.wnid: t for a in answers for t in a.tags}
    nodes = {}
    for wnid, tag in known.items():
        found = [column.get(wnid) for column in columns]
        nodes[wnid] = Node(
            tag.name,
            wnid,
            tag.leaf,
            tuple(None if t is None else t.score for t in found),
            tuple(
                _state(t, a, choice.threshold)
                for t, a in zip(found, answers, strict=True)
            ),
        )
    return nodes


def is_cut(answer: Prediction, threshold: float | None) -> bool:
    """Returns whether more classes may be tags than the answer holds.

    A model answers its best classes, so many and no more. Scores fall along
    them; where even the last is a tag, the next may be one too.

    Args:
        answer: best first.
        threshold: see `Choice`.
    """
    return bool(answer.tags) and _is_tag(answer.tags[-1], threshold)


def _is_tag(tag: Tag, threshold: float | None) -> bool:
    return tag.is_tag if threshold is None else tag.score >= threshold


def _state(
    tag: Tag | None, answer: Prediction, threshold: float | None
) -> bool | None:
    if tag is not None:
        return _is_tag(tag, threshold)
    return None if is_cut(answer, threshold) else False


def _parents(answers: Sequence[Prediction]) -> dict[str, tuple[str, ...]]:
    return {t.wnid: t.parents for a in answers for t in a.tags}


def _above(
    wnids: Sequence[str], parents: Mapping[str, Sequence[str]]
) -> set[str]:
    """Returns all classes above some of these."""
    above: set[str] = set()
    waiting = list(wnids)
    while waiting:
        fresh = {*parents.get(waiting.pop(), ())} - above
        above |= fresh
        waiting.extend(fresh)
    return above


def _matches(node: Node, text: str) -> bool:
    text = text.strip().casefold()
    return text in node.name.casefold() or text in node.wnid


def _best_first(nodes) -> list[Node]:
    return sorted(nodes, key=lambda n: (-n.best, n.name, n.wnid))


def _grow(
    nodes: Mapping[str, Node], parents: Mapping[str, Sequence[str]]
) -> tuple[Node, ...]:
    below: dict[str | None, list[Node]] = {}
    others: dict[str, tuple[str, ...]] = {}
    for node in _best_first(nodes.values()):
        over = _best_first(
            nodes[p] for p in parents.get(node.wnid, ()) if p in nodes
        )
        below.setdefault(over[0].wnid if over else None, []).append(node)
        others[node.wnid] = tuple(p.name for p in over[1:])

    def grown(node: Node) -> Node:
        children = tuple(map(grown, below.get(node.wnid, ())))
        return replace(node, also_under=others[node.wnid], children=children)

    return tuple(map(grown, below.get(None, ())))
