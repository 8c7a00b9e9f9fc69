"""Annotations -> closed label sets with their ledger (paper, section 2.3).

Rule A: an image that has class i has all ancestors of i. The confidence of an
ancestor is the largest among the asserted classes below it; asserted are
those that were annotated or that Rule B added.

Rule B: for a pair (i, j), an image that has class i, however obtained, has
class j as well, with the confidence of i. Both rules are applied in turn
until nothing changes.

What corrections rule out is no label, whatever other sources and Rule B say,
and no more are the classes below it; what they assert is one. A corrected image
keeps all its annotations: without the corrections its labels are as before.

An annotation of a class that the vocabulary lacks stands for its nearest
parent there: its source is given plus BY_PARENT, its label has the rule PARENT.

Of several claims to a class the surest wins; then one that an earlier round
made; then an annotated one, one by Rule A, one by Rule B; then the lower class
behind it; then the lower source. So every chain of parents in the ledger ends
in an annotated class, also where pairs form a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import BY_PARENT, Rule, Source
from beam_jobs.labels.pairs import Pairs
from beam_jobs.labels.ragged_columns import Annotations, Labels


@dataclass(frozen=True)
class LabelledBatch:
    """The labels of many images, and what the labels do not show.

    Attributes:
        labels: closed under the rules.
        absent_splits: int64 [images + 1], row splits of `absent_ids`.
        absent_ids: int32, classes verified absent, ascending in a row, their
            descendants included; none of them is a label.
        hidden: bool [annotation values], True for a positive of the vocabulary
            that is not visible as an ANNOTATED or PARENT label with its
            confidence and source. A record stores these apart: with them,
            other rules give the labels that they would have given at first.
            Of an image with corrections it is all that is said of it.
    """

    labels: Labels
    absent_splits: np.ndarray
    absent_ids: np.ndarray
    hidden: np.ndarray


class LabelRules:
    """Applies the rules to a shard of images at a time.

    The first use in a process imports numba and takes the compiled loops from
    its cache (about 3 s), or compiles them (about 15 s).

    Args:
        hierarchy: the classes.
        pairs: of Rule B.
        min_confidence: least confidence of a positive, over 0 to 1 (the
            released training code counts y >= 0.7 as positive). What lies
            between it and 0 says nothing.
        rules: those to apply. ANNOTATED is always among them.
        sources: whose annotations count; None for all.

    Attributes:
        min_confidence: as given.

    Raises:
        InputError: a bad confidence, no ANNOTATED, pairs of other classes.

    Example:
        >>> rules = LabelRules(Hierarchy([(), (0,), (1,)]))
        >>> batch = rules.label(
        ...     Annotations(
        ...         row_splits=np.array([0, 1]),
        ...         ids=np.array([2], np.int32),
        ...         confidences=np.array([0.8], np.float32),
        ...         sources=np.array([0], np.uint8),
        ...     )
        ... )
        >>> batch.labels.ids.tolist(), batch.labels.parents.tolist()
        ([0, 1, 2], [2, 2, 2])
    """

    def __init__(
        self,
        hierarchy: Hierarchy,
        pairs: Pairs | None = None,
        *,
        min_confidence: float = 0.7,
        rules: Collection[Rule] = tuple(Rule),
        sources: Collection[Source] | None = None,
    ):
        _check_options(min_confidence, rules)
        self.min_confidence = min_confidence
        self._classes = len(hierarchy)
        # As the float32 that annotations hold: 0.7 itself is a little more.
        self._min_bits = int(np.float32(min_confidence).view(np.uint32))
        nothing = np.zeros(self._classes + 1, np.int64), np.zeros(0, np.int32)
        self._above, self._pairs = nothing, nothing
        if Rule.ANCESTOR in rules:
            self._above = _tabulate(hierarchy.ancestors, self._classes)
        self._below = _tabulate(hierarchy.descendants, self._classes)
        if pairs is not None and Rule.CO_OCCURRENCE in rules:
            self._pairs = _tabulate_pairs(pairs, self._classes)
        self._allowed = np.full(256, sources is None)
        self._allowed[[int(source) for source in sources or ()]] = True
        self._allowed[BY_PARENT:] = self._allowed[:BY_PARENT]
        if Rule.PARENT not in rules:
            self._allowed[BY_PARENT:] = False

    def label(self, annotations: Annotations) -> LabelledBatch:
        """Labels images.

        An id of -1 says nothing. A source may be one plus BY_PARENT. A
        confidence of 0 rules out the class and its descendants, unless they
        are labels: presence wins, but not over `Source.CORRECTIONS`.

        Raises:
            InputError: columns that do not fit together, a class that the
                hierarchy lacks, a confidence out of 0 to 1.
        """
        from beam_jobs.labels import label_rules_kernel

        splits, ids = _check_rows(annotations, self._classes, least=-1)
        confidences = _check_confidences(annotations.confidences)
        sources = np.ascontiguousarray(annotations.sources, np.uint8)
        row_splits, labels, absent_splits, absent_ids, hidden = (
            label_rules_kernel.label_rows(
                (splits, ids, confidences.view(np.uint32), sources),
                *(self._allowed, self._min_bits),
                *(self._above, self._below, self._pairs),
            )
        )
        columns = (np.ascontiguousarray(labels[n]) for n in labels.dtype.names)
        label_ids, bits, parents, rules, sources = columns
        by_parent = (rules == Rule.ANNOTATED) & (sources >= BY_PARENT)
        return LabelledBatch(
            Labels(
                *(row_splits, label_ids, bits.view(np.float32)),
                *(np.where(by_parent, np.uint8(Rule.PARENT), rules), parents),
                sources % np.uint8(BY_PARENT),
            ),
            *(absent_splits, absent_ids, hidden),
        )

    def find_unclosed(self, labels: Labels) -> list[tuple[int, int, int]]:
        """Returns (row, class, ancestor) for every breach of Rule A.

        The ancestor is missing or less sure than the class. Nothing is a
        breach where Rule A is switched off.

        Raises:
            InputError: as `label` does.
        """
        from beam_jobs.labels import label_rules_kernel

        splits, ids = _check_rows(labels, self._classes, least=0)
        confidences = _check_confidences(labels.confidences)
        found = label_rules_kernel.find_unclosed(
            splits, ids, confidences, *self._above
        )
        return [
            (row, label, ancestor)
            for row, label, ancestor in found.reshape(-1, 3).tolist()
        ]


def _check_options(min_confidence: float, rules: Collection[Rule]) -> None:
    if not 0 < min_confidence <= 1:
        raise InputError(
            "the least confidence of a positive must be over 0 and at most "
            f"1; received: {min_confidence}"
        )
    if Rule.ANNOTATED not in rules:
        raise InputError(
            "the rule ANNOTATED cannot be switched off: the others start from "
            f"its labels; received: {[rule.name for rule in rules]}"
        )


def _check_rows(
    columns: Annotations | Labels, classes: int, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns row_splits and ids, safe to index with."""
    splits = np.ascontiguousarray(columns.row_splits, np.int64)
    ids = np.ascontiguousarray(columns.ids, np.int32)
    values = (len(ids), len(columns.confidences), len(columns.sources))
    if (
        len(splits) == 0
        or splits[0] != 0
        or np.any(splits[1:] < splits[:-1])
        or any(count != splits[-1] for count in values)
    ):
        raise InputError(
            "row splits must rise from 0 to the number of values of each "
            f"column; received: {splits[:1]} to {splits[-1:]} for {values}"
        )
    if len(ids) and not least <= ids.min() <= ids.max() < classes:
        raise InputError(
            f"class indices must be {least} to {classes - 1}; received: "
            f"{ids.min()} to {ids.max()}; were they made with another "
            "vocabulary?"
        )
    return splits, ids


def _check_confidences(confidences: np.ndarray) -> np.ndarray:
    confidences = np.ascontiguousarray(confidences, np.float32)
    # NaN passes through both, and fails the comparison.
    if len(confidences) and not (
        confidences.min() >= 0 and confidences.max() <= 1
    ):
        raise InputError(
            "confidences must be 0 to 1; received: "
            f"{confidences.min()} to {confidences.max()}"
        )
    return confidences


def _tabulate(
    related: Callable[[int], Sequence[int]], classes: int
) -> tuple[np.ndarray, np.ndarray]:
    rows = [related(i) for i in range(classes)]
    splits = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    values = np.fromiter((i for row in rows for i in row), np.int32, splits[-1])
    return splits, values


def _tabulate_pairs(
    pairs: Pairs, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    source, added = pairs.source_class, pairs.added_class
    if len(source) and not (
        0 <= min(source.min(), added.min())
        and max(source.max(), added.max()) < classes
    ):
        raise InputError(
            f"the co-occurrence pairs name classes {source.min()} to "
            f"{max(source.max(), added.max())}; allowed: 0 to {classes - 1}; "
            "were they made with another vocabulary?"
        )
    order = np.lexsort((added, source))
    counts = np.bincount(source, minlength=classes)
    splits = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return splits, np.ascontiguousarray(added[order], np.int32)
