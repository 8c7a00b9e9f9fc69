"""Annotations -> the closed label set of an image (paper, section 2.3).

Rule A: an image that has class i has all ancestors of i. The confidence of an
ancestor is the largest among the annotated classes below it.
"""

from __future__ import annotations

from collections.abc import Iterable

from beam_jobs.annotations import Annotation
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.records import Label, Rule, Source
from beam_jobs.vocabulary import Vocabulary


def augment(
    annotations: Iterable[Annotation],
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
    min_confidence: float = 0.7,
) -> tuple[tuple[Label, ...], tuple[int, ...]]:
    """Returns the labels and the classes verified absent of one image.

    Args:
        annotations: statements about the image; classes outside the
            vocabulary, and confidences between 0 and `min_confidence`, say
            nothing.
        vocabulary, hierarchy: of the same classes.
        min_confidence: least confidence of a positive (the released training
            code counts y >= 0.7 as positive).

    Returns:
        Labels sorted by class, closed under the hierarchy, and the indices of
        absent classes, ascending: an absent class rules out its descendants.
        Where both are claimed, presence wins.
    """
    positives: list[_Claim] = []
    absent: set[int] = set()
    for annotation in annotations:
        if annotation.wnid not in vocabulary:
            continue
        index = vocabulary.index_of(annotation.wnid)
        confidence, source = annotation.confidence, annotation.source
        if confidence == 0:
            absent.add(index)
        elif confidence >= min_confidence:
            claim = (confidence, -int(Rule.ANNOTATED), -index, -int(source))
            positives.append((index, claim))
    labels = _close(positives, hierarchy)
    present = {label.index for label in labels}
    ruled_out = absent.union(*(hierarchy.descendants(i) for i in absent))
    return labels, tuple(sorted(ruled_out - present))


def close(labels: Iterable[Label], hierarchy: Hierarchy) -> tuple[Label, ...]:
    """Adds all missing ancestors; returns the labels sorted by class."""
    claims = [
        (
            label.index,
            (
                label.confidence,
                -int(label.rule),
                -label.derived_from,
                -int(label.source),
            ),
        )
        for label in labels
    ]
    return _close(claims, hierarchy)


def find_unclosed(
    labels: Iterable[Label], hierarchy: Hierarchy
) -> list[tuple[int, int]]:
    """Returns (class, ancestor) pairs that break the closure.

    A pair is listed if the ancestor is missing or less confident.
    """
    confidence = {label.index: label.confidence for label in labels}
    return [
        (index, ancestor)
        for index, own in confidence.items()
        for ancestor in hierarchy.ancestors(index)
        if confidence.get(ancestor, 0.0) < own
    ]


# Class index, and what speaks for it: confidence, then what is annotated, then
# the lower class behind it, then the lower source, all so that more is better.
_Claim = tuple[int, tuple[float, int, int, int]]


def _close(claims: Iterable[_Claim], hierarchy: Hierarchy) -> tuple[Label, ...]:
    nothing = (0.0, 0, 0, 0)
    best: dict[int, tuple[float, int, int, int]] = {}
    for index, claim in claims:
        best[index] = max(claim, best.get(index, nothing))
        derived = (claim[0], -int(Rule.ANCESTOR), claim[2], claim[3])
        for ancestor in hierarchy.ancestors(index):
            if derived > best.get(ancestor, nothing):
                best[ancestor] = derived
    return tuple(
        Label(index, confidence, Rule(-rule), -origin, Source(-source))
        for index, (confidence, rule, origin, source) in sorted(best.items())
    )
