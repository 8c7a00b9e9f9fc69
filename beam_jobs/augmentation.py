"""Annotations -> the closed label set of an image (paper, section 2.3).

Rule A: an image that has class i has all ancestors of i. The confidence of an
ancestor is the largest among the annotated classes below it.
"""

from __future__ import annotations

from collections.abc import Iterable

from beam_jobs.annotations import Annotation
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.records import Label, Rule
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
    positives: dict[int, Label] = {}
    absent: set[int] = set()
    for annotation in sorted(annotations):
        if annotation.wnid not in vocabulary:
            continue
        index = vocabulary.index_of(annotation.wnid)
        if annotation.confidence == 0:
            absent.add(index)
        elif annotation.confidence >= min_confidence:
            _keep_stronger(positives, _annotated(index, annotation))
    labels = close(positives.values(), hierarchy)
    present = {label.index for label in labels}
    ruled_out = absent.union(*(hierarchy.descendants(i) for i in absent))
    return labels, tuple(sorted(ruled_out - present))


def close(labels: Iterable[Label], hierarchy: Hierarchy) -> tuple[Label, ...]:
    """Adds all missing ancestors; returns the labels sorted by class."""
    closed: dict[int, Label] = {}
    for label in labels:
        _keep_stronger(closed, label)
        for ancestor in hierarchy.ancestors(label.index):
            derived = Label(
                ancestor,
                label.confidence,
                Rule.ANCESTOR,
                label.derived_from,
                label.source,
            )
            _keep_stronger(closed, derived)
    return tuple(closed[i] for i in sorted(closed))


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


def _annotated(index: int, annotation: Annotation) -> Label:
    return Label(
        index,
        annotation.confidence,
        Rule.ANNOTATED,
        index,
        annotation.source,
    )


def _keep_stronger(labels: dict[int, Label], new: Label) -> None:
    old = labels.get(new.index)
    if old is None or _strength(new) > _strength(old):
        labels[new.index] = new


def _strength(label: Label) -> tuple[float, int, int]:
    """Confidence first; then what is annotated, then the lower class."""
    return (label.confidence, -int(label.rule), -label.derived_from)
