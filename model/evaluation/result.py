"""What an evaluation found, as JSON too. Needs neither TensorFlow nor Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluation.breakdowns import (
    Comparison,
    DepthRow,
    FrequencyRow,
    Known,
    OriginRow,
)
from model.scores.reliability import Reliability
from model.scores.tagging import TagFigures
from model.scores.trained_on import Judge

TITLES = {
    "precision_at_5": "precision at 5",
    "recall_at_5": "recall at 5",
    "f1_at_5": "F1 at 5",
    "precision_at_10": "precision at 10",
    "recall_at_10": "recall at 10",
    "f1_at_10": "F1 at 10",
    "leaf_f1_at_5": "leaf F1 at 5",
    "best_leaf_right": "best leaf right",
    "macro_average_precision": "macro AP",
}


@dataclass(frozen=True)
class CalibrationReport:
    """What calibration and thresholds are worth on this split.

    Attributes:
        after: reliability of the calibrated probabilities.
        tags: `score 0.5`, `probability 0.5`, `thresholds` -> how good the
            tags are that each chooses.
        goal: `f1`, or `precision`.
        precision: the wished one.
    """

    after: Reliability
    tags: Mapping[str, TagFigures]
    goal: str = "f1"
    precision: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns all figures."""
        return {
            "goal": self.goal,
            "precision": self.precision,
            "reliability": self.after.to_json(),
            "tags": {name: t.to_json() for name, t in self.tags.items()},
        }


@dataclass(frozen=True)
class Evaluation:
    """What a tagger is worth on one split, by its observed labels.

    Attributes:
        split: name of the split.
        images: number of images.
        labels_per_image: mean number of labels.
        figures: name (a key of `TITLES`) -> comparison.
        average_precision: of every class, float [classes]; 0 without
            positives.
        positives: images with the class, int [classes].
        depth: edges up to a root, int [classes].
        train_images: training images with the class, int [classes].
        average_precision_error: the most by which bins can have moved the
            model's macro average precision.
        f1_at_k: F1 at 1, 2, 3, ...
        depths, frequencies, rules, sources: the same figures of parts.
        known: figures without unknown labels; None where no class of any
            image is verified absent.
        reliability: of the scores as they are.
        calibration: what calibration gained; None without one.
        tags_of_classes: precision, recall and F1 of every class by its
            threshold [3, classes], or None.
        judge: what the training knows of the split; None for bare scores.
    """

    split: str
    images: int
    labels_per_image: float
    figures: Mapping[str, Comparison]
    average_precision: np.ndarray
    positives: np.ndarray
    depth: np.ndarray
    train_images: np.ndarray
    average_precision_error: float
    f1_at_k: Sequence[Comparison]
    depths: Sequence[DepthRow]
    frequencies: Sequence[FrequencyRow]
    rules: Sequence[OriginRow]
    sources: Sequence[OriginRow]
    known: Known | None
    reliability: Reliability
    calibration: CalibrationReport | None = None
    tags_of_classes: np.ndarray | None = None
    judge: Judge | None = None

    def __getitem__(self, name: str) -> Comparison:
        return self.figures[name]

    def to_json(self) -> dict[str, Any]:
        """Returns the content of `<split>.json`."""
        fitted, known = self.calibration, self.known
        return {
            "split": self.split,
            "data_set": None if self.judge is None else self.judge.to_json(),
            "images": self.images,
            "labels_per_image": round(self.labels_per_image, 6),
            "classes_with_images": int((self.positives > 0).sum()),
            "figures": {n: c.to_json() for n, c in self.figures.items()},
            "average_precision_error": round(self.average_precision_error, 8),
            "f1_at_k": [c.to_json() for c in self.f1_at_k],
            "by_depth": [row.to_json() for row in self.depths],
            "by_frequency": [row.to_json() for row in self.frequencies],
            "by_rule": [row.to_json() for row in self.rules],
            "by_source": [row.to_json() for row in self.sources],
            "known_labels": None if known is None else known.to_json(),
            "reliability": self.reliability.to_json(),
            "calibration": None if fitted is None else fitted.to_json(),
        }
