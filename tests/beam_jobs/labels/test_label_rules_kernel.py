"""The compiled loops against the rules written plainly, on random cases."""

from collections import namedtuple

import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import Rule
from beam_jobs.labels.pairs import Pairs
from beam_jobs.labels.ragged_columns import Annotations, Labels

ANNOTATED, ANCESTOR, CO_OCCURRENCE, PARENT = Rule

Label = namedtuple("Label", "index confidence rule parent source")


def said(rows) -> Annotations:
    """Columns of rows of (class, confidence, source)."""
    values = [value for row in rows for value in row]
    ids, confidences, sources = list(zip(*values, strict=True)) or [()] * 3
    return Annotations(
        np.cumsum([0, *map(len, rows)]),
        np.array(ids, np.int32),
        np.array(confidences, np.float32),
        np.array(sources, np.uint8),
    )


def pairs_of(pairs) -> Pairs:
    source, added = np.array(pairs, np.int32).reshape(-1, 2).T
    ones = np.ones(len(pairs), np.int64)
    return Pairs(source, added, np.ones(len(pairs)), ones, ones)


def rows_of(labels: Labels) -> list[list[Label]]:
    columns = zip(
        labels.ids.tolist(),
        labels.confidences.tolist(),
        labels.rules.tolist(),
        labels.parents.tolist(),
        labels.sources.tolist(),
        strict=True,
    )
    values = [Label(*value) for value in columns]
    splits = labels.row_splits
    return [values[a:b] for a, b in zip(splits, splits[1:], strict=False)]


def slow_labels(row, hierarchy, pairs, rules=tuple(Rule)) -> list[Label]:
    """Rules A and B in turn, as the module describes them; slow and plain."""
    best: dict[int, Label] = {}
    for index, confidence, source in row:
        new = Label(index, confidence, ANNOTATED, index, source)
        old = best.get(index, new)
        best[index] = min(old, new, key=lambda x: (-x.confidence, x.source))
    climb(best, set(best), hierarchy, rules)
    while rule_b := improvements(best, pairs if CO_OCCURRENCE in rules else []):
        best.update(rule_b)
        climb(best, set(rule_b), hierarchy, rules)
    return sorted(best.values())


def improvements(best, pairs) -> dict[int, Label]:
    found: dict[int, Label] = {}
    for i, j in sorted(pairs):
        given, had = best.get(i), found.get(j, best.get(j))
        if given and (had is None or given.confidence > had.confidence):
            found[j] = Label(
                j, given.confidence, CO_OCCURRENCE, i, given.source
            )
    return found


def climb(best, asserted, hierarchy, rules) -> None:
    """Rule A on the classes that this round asserted."""
    if ANCESTOR not in rules:
        return

    def surest(above, among):
        below = [i for i in among if above in hierarchy.ancestors(i)]
        return min(below, key=lambda i: (-best[i].confidence, i), default=None)

    def is_beaten(index):
        by = surest(index, asserted)
        if by is None:
            return False
        own, other = best[index], best[by]
        equal = other.confidence == own.confidence
        return other.confidence > own.confidence or (
            equal and own.rule == CO_OCCURRENCE
        )

    beaten = {index for index in asserted if is_beaten(index)}
    kept = asserted - beaten
    for above in range(len(hierarchy)):
        index = surest(above, kept)
        if index is None:
            continue
        below, known = best[index], best.get(above)
        if (
            known is None
            or above in beaten
            or below.confidence > known.confidence
        ):
            best[above] = Label(
                above, below.confidence, ANCESTOR, index, below.source
            )


def draw_case(rng):
    classes = int(rng.integers(2, 13))
    order = rng.permutation(classes)
    parents = [()] * classes
    for position, child in enumerate(order):
        count = rng.integers(0, min(position, 2) + 1)
        chosen = rng.choice(order[:position], count, False) if count else []
        parents[child] = tuple(int(p) for p in chosen)
    pairs = {
        (int(i), int(j))
        for i, j in rng.integers(classes, size=(rng.integers(0, 9), 2))
        if i != j
    }
    rows = [
        [
            (int(c), float(rng.choice([0.75, 0.875, 1.0])), int(s))
            for c, s in zip(
                rng.integers(classes, size=n),
                rng.integers(3, size=n),
                strict=True,
            )
        ]
        for n in rng.integers(0, 6, size=4)
    ]
    return Hierarchy(parents), sorted(pairs), rows


@pytest.mark.parametrize("seed", range(300))
def test_random_rows_equal_the_plain_rules(seed):
    rng = np.random.default_rng(seed)
    hierarchy, pairs, rows = draw_case(rng)
    off = {ANCESTOR, CO_OCCURRENCE} if seed % 10 == 0 else set()
    off = {ANCESTOR} if seed % 10 == 1 else off
    rules = set(Rule) - off
    label_rules = LabelRules(hierarchy, pairs_of(pairs), rules=rules)
    batch = label_rules.label(said(rows))
    found = rows_of(batch.labels)
    assert found == [slow_labels(r, hierarchy, pairs, rules) for r in rows]
    assert label_rules.find_unclosed(batch.labels) == []
    for row, labels in zip(rows, found, strict=True):
        check_chains(row, {x.index: x for x in labels})
    visible = [
        (x.index, x.confidence, x.source) in row
        for row, labels in zip(rows, found, strict=True)
        for x in labels
        if x.rule == ANNOTATED
    ]
    assert all(visible)


def check_chains(row, labels) -> None:
    """Every chain ends in an annotation that its labels take values from."""
    for label in labels.values():
        at, steps = label, 0
        while at.rule != ANNOTATED:
            parent = labels[at.parent]
            if at.rule == ANCESTOR:
                assert parent.rule != ANCESTOR
            assert parent.confidence == at.confidence
            assert parent.source == at.source
            at, steps = parent, steps + 1
            assert steps <= len(labels)
        assert at.parent == at.index
        assert (at.index, at.confidence, at.source) in row


@pytest.mark.parametrize("seed", range(20))
def test_other_rules_can_be_applied_to_what_a_record_keeps(seed):
    rng = np.random.default_rng(1000 + seed)
    hierarchy, pairs, rows = draw_case(rng)
    first = said(rows)
    batch = LabelRules(hierarchy, pairs_of(pairs)).label(first)
    splits = first.row_splits
    kept = []
    for r, labels in enumerate(rows_of(batch.labels)):
        hidden = batch.hidden[splits[r] : splits[r + 1]]
        apart = [v for v, h in zip(rows[r], hidden, strict=True) if h]
        shown = [(x[0], x[1], x[4]) for x in labels if x.rule == ANNOTATED]
        kept.append(shown + apart)
    alone = LabelRules(hierarchy, rules=(ANNOTATED, ANCESTOR))
    assert rows_of(alone.label(said(kept)).labels) == rows_of(
        alone.label(first).labels
    )
