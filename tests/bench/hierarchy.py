"""Agreement with the published parents, rule by rule.

Nothing is timed: the figures are per cent of the 11,166 published classes
whose parent a rule gives. `bare` is the nearest class upwards. Without the
published file there is nothing to compare with, and so no row.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_published
from beam_jobs.classes.vocabulary import Vocabulary
from tests.bench import hierarchy_tree
from tests.bench.hierarchy_tree import PUBLISHED_FIRST_CLASSES, single_parent
from tests.helpers.shared_data import TENCENT_DICTIONARY

from . import timing

_EXAMPLES = 4


def run(folder: Path, short: bool = False) -> list[timing.Comparison]:
    """Compares every rule with and without lifted only children."""
    del folder, short
    if not TENCENT_DICTIONARY.is_file():
        print(f"{TENCENT_DICTIONARY} is absent", file=sys.stderr)
        return []
    vocabulary, published = load_published(TENCENT_DICTIONARY)
    dag = Hierarchy.from_wordnet(vocabulary)
    among = sum(
        set(ours) >= set(theirs) and bool(ours) == bool(theirs)
        for ours, theirs in zip(dag.parents, published.parents, strict=True)
    )
    rows, bare = [], 0.0
    for rule in hierarchy_tree.RULES:
        plain, lifted_all, staged = (
            single_parent(vocabulary, rule, count)
            for count in (0, len(vocabulary), PUBLISHED_FIRST_CLASSES)
        )
        bare = bare or agreement(plain, published)
        ours = agreement(staged, published)
        rows.append(_row(rule, bare, ours, agreement(plain, published)))
        rows[-1].details["only children lifted everywhere"] = agreement(
            lifted_all, published
        )
        if rule == hierarchy_tree.NEAREST:
            rows[-1].details["among the DAG's parents"] = _percent(among, dag)
            rows[-1].details.update(
                disagreements(staged, published, dag, vocabulary)
            )
    return rows


def agreement(ours: Hierarchy, published: Hierarchy) -> float:
    """Returns per cent of classes with the published parent."""
    same = sum(
        a == b for a, b in zip(ours.parents, published.parents, strict=True)
    )
    return _percent(same, published)


def disagreements(
    ours: Hierarchy, published: Hierarchy, dag: Hierarchy, names: Vocabulary
) -> dict[str, float]:
    """Counts the classes with another parent by kind; prints examples."""
    kinds: dict[str, list[int]] = {}
    for index in range(len(published)):
        if ours.parents[index] != published.parents[index]:
            kinds.setdefault(_kind(index, ours, published, dag), []).append(
                index
            )
    for kind, found in sorted(kinds.items()):
        for index in found[:_EXAMPLES]:
            parents = (
                "/".join(names[p].display_name for p in tree.parents[index])
                for tree in (published, ours)
            )
            shown = " published under {}, ours under {}".format(
                *(p or "nothing" for p in parents)
            )
            print(f"  {kind}: {names[index].display_name}:{shown}")
    return {
        f"differ, {kind}": float(count)
        for kind, count in sorted(
            Counter({k: len(v) for k, v in kinds.items()}).items()
        )
    }


def _kind(
    index: int, ours: Hierarchy, published: Hierarchy, dag: Hierarchy
) -> str:
    (theirs,) = published.parents[index] or (None,)
    (mine,) = ours.parents[index] or (None,)
    if theirs is None or theirs not in dag.ancestors(index):
        return "published parent is not above in WordNet"
    if len(dag.parents[index]) > 1:
        return "another of several hypernyms"
    if mine is not None and mine in dag.ancestors(theirs):
        return "lifted by us only"
    if mine is not None and theirs in dag.ancestors(mine):
        return "lifted by them only"
    return "on another path farther up"


def _percent(count: int, hierarchy: Hierarchy) -> float:
    return 100 * count / len(hierarchy)


def _row(
    rule: str, bare: float, ours: float, plain: float
) -> timing.Comparison:
    return timing.Comparison(
        name=f"hierarchy, {rule}",
        unit="% of parents",
        bare=timing.exact(bare),
        ours=timing.exact(ours),
        what="points",
        result=timing.exact(ours - bare),
        details={"without lifting": plain},
    )
