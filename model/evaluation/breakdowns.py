"""Figures of parts: by depth, by frequency, by the origin of the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluation.baselines import gap_closed


@dataclass(frozen=True)
class Comparison:
    """One figure: of the model, of no model, and the best possible.

    Attributes:
        model: the trained tagger's, 0 to 1.
        baseline: that of the most frequent training tags for every image.
        ceiling: the most that the images' label counts allow.
    """

    model: float
    baseline: float
    ceiling: float

    @property
    def gap_closed(self) -> float | None:
        """Share of the way from baseline to ceiling; None without a way."""
        return gap_closed(self.model, self.baseline, self.ceiling)

    def to_json(self) -> dict[str, float | None]:
        """Returns all four, rounded to 6 digits."""
        gap = self.gap_closed
        return {
            "model": round(self.model, 6),
            "baseline": round(self.baseline, 6),
            "ceiling": round(self.ceiling, 6),
            "gap_closed": None if gap is None else round(gap, 6),
        }


@dataclass(frozen=True)
class DepthRow:
    """Classes at one depth, edges from a root.

    Attributes:
        depth: edges on the longest path up to a root.
        classes: number of classes at it that have images.
        macro_average_precision: mean over these classes.
        at_depth: name -> comparison; only classes at this depth may be
            chosen, and only they count as labels.
        from_depth: the same for classes at this depth and below.
    """

    depth: int
    classes: int
    macro_average_precision: float
    at_depth: dict[str, Comparison]
    from_depth: dict[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """Returns all figures."""
        return {
            "depth": self.depth,
            "classes": self.classes,
            "macro_average_precision": round(self.macro_average_precision, 6),
            "at_depth": {n: c.to_json() for n, c in self.at_depth.items()},
            "from_depth": {n: c.to_json() for n, c in self.from_depth.items()},
        }


@dataclass(frozen=True)
class FrequencyRow:
    """Classes with about as many training images.

    Attributes:
        least, most: training images of a class, both included.
        classes: number of such classes that have images to evaluate.
        macro_average_precision: of the model.
        baseline: that of scores without knowledge.
        f1: macro F1 with the fitted thresholds, or None.
    """

    least: int
    most: int
    classes: int
    macro_average_precision: float
    baseline: float
    f1: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns all figures."""
        return {
            "train_images": [self.least, self.most],
            "classes": self.classes,
            "macro_average_precision": round(self.macro_average_precision, 6),
            "baseline": round(self.baseline, 6),
            "f1": None if self.f1 is None else round(self.f1, 6),
        }


@dataclass(frozen=True)
class OriginRow:
    """Labels of one origin: how many of them the best classes find.

    Attributes:
        origin: name of a rule or of a source.
        labels: how many there are.
        recalls: `recall_at_<k>` -> comparison; the share of these labels
            among the k best classes.
    """

    origin: str
    labels: int
    recalls: dict[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """Returns all figures."""
        recalls = {name: c.to_json() for name, c in self.recalls.items()}
        return {"origin": self.origin, "labels": self.labels, **recalls}


@dataclass(frozen=True)
class Known:
    """Figures that leave unknown labels out.

    Attributes:
        images: those with a verified absent class.
        classes: those with a positive and a verified absent image.
        figures: name -> comparison. Precision, recall and F1 rank an image's
            known classes alone; average precision a class's known images.
    """

    images: int
    classes: int
    figures: dict[str, Comparison]

    def to_json(self) -> dict[str, Any]:
        """Returns all figures."""
        return {
            "images": self.images,
            "classes": self.classes,
            "figures": {n: c.to_json() for n, c in self.figures.items()},
        }


def frequency_edges(most: int) -> list[int]:
    """Returns the least training images of every row: 0, 1, 3, 10, 30, ...

    Example:
        >>> frequency_edges(40)
        [0, 1, 3, 10, 30]
    """
    edges, decade = [0], 1
    while decade <= most:
        edges += [decade, 3 * decade]
        decade *= 10
    return [edge for edge in edges if edge <= most]


def by_frequency(
    train_counts: np.ndarray,
    average_precision: np.ndarray,
    shares: np.ndarray,
    f1: np.ndarray | None = None,
) -> list[FrequencyRow]:
    """Returns macro average precision by the number of training images.

    Args:
        train_counts: training images of every class [classes].
        average_precision: of every class [classes].
        shares: share of the evaluated images that have the class [classes];
            a class with none does not count.
        f1: of every class with the fitted thresholds [classes].
    """
    edges = frequency_edges(int(train_counts.max(initial=0)))
    # Each class belongs to the last edge that it reaches.
    place = np.searchsorted(edges, train_counts, side="right") - 1
    rows = []
    for row, least in enumerate(edges):
        chosen = (place == row) & (shares > 0)
        if not chosen.any():
            continue
        end = edges[row + 1] - 1 if row + 1 < len(edges) else train_counts.max()
        rows.append(
            FrequencyRow(
                least=least,
                most=int(end),
                classes=int(chosen.sum()),
                macro_average_precision=float(average_precision[chosen].mean()),
                baseline=float(shares[chosen].mean()),
                f1=None if f1 is None else float(f1[chosen].mean()),
            )
        )
    return rows
