"""From the answers for one image to the tree that the page shows.

The tree holds for all thresholds: of everything in it is known with which ones
it is there, so that the browser can move the slider without asking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from serving.api.prediction import Prediction, Tag
from serving.ui.when import NEVER, When

# Scores of two versions that differ by less are taken as the same.
NOTABLE = 0.1
MOST_ROWS = 100


@dataclass(frozen=True)
class Choice:
    """Which classes of the answers are shown.

    Attributes:
        most_specific: leaves out classes above other tags.
        search: only classes with this text in their names or id.
        most_rows: at most so many, the best ones.
    """

    most_specific: bool = False
    search: str = ""
    most_rows: int = MOST_ROWS

    def nothing(self, what: str, is_there: bool) -> str:
        """Says that nothing is shown, and why.

        Args:
            what: could be, in the singular.
            is_there: a lower threshold brings something.
        """
        text = self.search.strip()
        found = f' matches "{text}"' if text else ""
        if found and not is_there:
            return f"nothing{found}"
        return f"No {what}{found} with these settings: try a lower threshold."


@dataclass(frozen=True)
class Node:
    """A class in the tree.

    Attributes:
        name, wnid, leaf: of the class.
        scores: one a column, 0 to 1; None where the answer lacks the class.
        tags: one a column, when the class is a tag there.
        others: one a column, when the class is known to be no tag there. It is
            not where the answer ends before the first that is none.
        chosen: when it counts as a tag that was asked for.
        shown: when it has a row: also for those below it.
        also_under: names of further parents; a class appears only once.
        children: the classes below it, best first.
    """

    name: str
    wnid: str
    leaf: bool
    scores: tuple[float | None, ...]
    tags: tuple[When, ...]
    others: tuple[When, ...]
    chosen: When = NEVER
    shown: When = NEVER
    also_under: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()

    @property
    def best(self) -> float:
        """The highest of its scores."""
        return max(s for s in self.scores if s is not None)

    @property
    def is_tag(self) -> When:
        """When it is a tag in some column."""
        return When.any_of(self.tags)

    @property
    def only(self) -> tuple[When, ...]:
        """One a column: when it is a tag there, and none in another."""
        return tuple(
            When.any_of(
                tag.and_(other)
                for n, other in enumerate(self.others)
                if n != column
            )
            for column, tag in enumerate(self.tags)
        )

    @property
    def apart(self) -> float | None:
        """The last score less the first, where that is notable."""
        known = [s for s in self.scores if s is not None]
        return known[-1] - known[0] if _apart(known) else None


@dataclass(frozen=True)
class TagTree:
    """What is shown of one image.

    Attributes:
        roots: the classes without a shown parent, best first.
        tags: names of those that count as tags, best first, and when.
        best: names of the most specific tags, best first, and when; whatever
            is searched for.
        left_out: when those beyond `most_rows` would be tags.
    """

    roots: tuple[Node, ...] = ()
    tags: tuple[tuple[str, When], ...] = ()
    best: tuple[tuple[str, When], ...] = ()
    left_out: tuple[When, ...] = ()


def tag_tree(answers: Sequence[Prediction], choice: Choice) -> TagTree:
    """Puts the answers for one image into one tree.

    Parents come from the answers: a class stands below that one of its
    parents that scores best. Classes above a tag are shown too, tags or not.

    Args:
        answers: a valid one a column, of versions to compare.
        choice: its threshold has no say.
    """
    parents = {t.wnid: t.parents for a in answers for t in a.tags}
    nodes = {n.wnid: n for n in _best_first(_merge(answers))}
    specific = _most_specific(nodes, parents)
    if choice.most_specific:
        found = specific
    else:
        found = {wnid: node.is_tag for wnid, node in nodes.items()}
    found = {
        wnid: when
        for wnid, when in found.items()
        if when.is_possible and _matches(nodes[wnid], choice.search)
    }
    # What is a tag by its own threshold has a row, however little it scores.
    ranked = sorted(found, key=lambda wnid: not found[wnid].calibrated)
    kept = {*ranked[: choice.most_rows]}
    chosen = {wnid: when for wnid, when in found.items() if wnid in kept}
    # A tag that is most specific now stands alone; later one below it may be.
    edges = {} if choice.most_specific else parents
    return TagTree(
        _grow(nodes, chosen, _with_above(chosen, edges, nodes), edges),
        _named(chosen, nodes),
        _named(specific, nodes),
        tuple(when for wnid, when in found.items() if wnid not in kept),
    )


def walk(node: Node) -> Iterator[Node]:
    """Yields a node and all below it, in the order shown."""
    yield node
    for child in node.children:
        yield from walk(child)


def when_cut(answer: Prediction) -> When:
    """Returns when more classes may be tags than the answer holds.

    A model answers its best classes, so many and no more. Scores fall along
    them; where even the last is a tag, the next may be one too.

    Args:
        answer: best first.
    """
    return _when_tag(answer.tags[-1]) if answer.tags else NEVER


def _merge(answers: Sequence[Prediction]) -> Iterator[Node]:
    columns = [{t.wnid: t for t in a.tags} for a in answers]
    cut = [when_cut(answer) for answer in answers]
    known = {t.wnid: t for a in answers for t in a.tags}
    for wnid, tag in known.items():
        found = [column.get(wnid) for column in columns]
        yield Node(
            tag.name,
            wnid,
            tag.leaf,
            tuple(None if t is None else t.score for t in found),
            tuple(NEVER if t is None else _when_tag(t) for t in found),
            tuple(
                (over if t is None else _when_tag(t)).negated()
                for t, over in zip(found, cut, strict=True)
            ),
        )


def _when_tag(tag: Tag) -> When:
    return When.up_to(tag.score, tag.is_tag)


def _most_specific(
    nodes: Mapping[str, Node], parents: Mapping[str, Sequence[str]]
) -> dict[str, When]:
    """Returns when a class is a tag, and none below it is."""
    tags = {wnid: node.is_tag for wnid, node in nodes.items()}
    below = _with_above(tags, parents, nodes, themselves=False)
    found = {
        wnid: when.and_(below.get(wnid, NEVER).negated())
        for wnid, when in tags.items()
    }
    return {wnid: when for wnid, when in found.items() if when.is_possible}


def _with_above(
    whens: Mapping[str, When],
    parents: Mapping[str, Sequence[str]],
    nodes: Mapping[str, Node],
    themselves: bool = True,
) -> dict[str, When]:
    """Returns when something below each class holds.

    Args:
        whens: of a class; up to a threshold each.
        themselves: or the class's own holds.
    """
    found = dict(whens) if themselves else {}
    for wnid, when in whens.items():
        for above in _above(wnid, parents) & nodes.keys():
            found[above] = When.any_of([found.get(above, NEVER), when])
    return found


def _above(wnid: str, parents: Mapping[str, Sequence[str]]) -> set[str]:
    """Returns all classes above one; itself too if it is in a circle."""
    above: set[str] = set()
    waiting = [wnid]
    while waiting:
        fresh = {*parents.get(waiting.pop(), ())} - above
        above |= fresh
        waiting.extend(fresh)
    return above


def _apart(scores: Sequence[float]) -> bool:
    return max(scores) - min(scores) >= NOTABLE


def _matches(node: Node, text: str) -> bool:
    text = text.strip().casefold()
    return text in node.name.casefold() or text in node.wnid


def _named(
    whens: Mapping[str, When], nodes: Mapping[str, Node]
) -> tuple[tuple[str, When], ...]:
    return tuple((nodes[wnid].name, when) for wnid, when in whens.items())


def _best_first(nodes) -> list[Node]:
    return sorted(nodes, key=lambda n: (-n.best, n.name, n.wnid))


def _grow(
    nodes: Mapping[str, Node],
    chosen: Mapping[str, When],
    shown: Mapping[str, When],
    parents: Mapping[str, Sequence[str]],
) -> tuple[Node, ...]:
    below: dict[str | None, list[Node]] = {}
    others: dict[str, tuple[str, ...]] = {}
    ordered = [node for wnid, node in nodes.items() if wnid in shown]
    for node in ordered:
        over = _best_first(
            nodes[p] for p in parents.get(node.wnid, ()) if p in shown
        )
        below.setdefault(over[0].wnid if over else None, []).append(node)
        others[node.wnid] = tuple(p.name for p in over[1:])

    def grown(node: Node) -> Node:
        return replace(
            node,
            chosen=chosen.get(node.wnid, NEVER),
            shown=shown[node.wnid],
            also_under=others[node.wnid],
            children=tuple(map(grown, below.get(node.wnid, ()))),
        )

    return tuple(map(grown, below.get(None, ())))
