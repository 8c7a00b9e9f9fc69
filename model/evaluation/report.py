"""What an evaluation found, and how it is written, drawn and printed.

Imports neither TensorFlow nor Keras; matplotlib and rich only when used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beam_jobs.vocabulary import Vocabulary
from model.evaluation import report_plots
from model.evaluation.breakdowns import (
    Comparison,
    DepthRow,
    FrequencyRow,
    Known,
    OriginRow,
)
from model.evaluation.reliability import Reliability
from model.tagging import TagFigures

if TYPE_CHECKING:
    from rich.table import Table

# Of a training's working directory.
FOLDER = "evaluation"

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

    def __getitem__(self, name: str) -> Comparison:
        return self.figures[name]

    def to_json(self) -> dict[str, Any]:
        """Returns the content of `<split>.json`."""
        fitted, known = self.calibration, self.known
        return {
            "split": self.split,
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


def write(
    evaluation: Evaluation,
    folder: str | os.PathLike[str],
    vocabulary: Vocabulary,
) -> list[Path]:
    """Writes `<split>.json`, `<split>_classes.tsv` and the plots.

    Args:
        evaluation: what to write.
        folder: made if need be.
        vocabulary: the classes' names.

    Returns:
        The paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = paths_in(folder, evaluation.split)
    text = json.dumps(evaluation.to_json(), indent=2, sort_keys=True)
    paths[0].write_text(text + "\n", encoding="utf-8")
    rows = "\n".join(_class_rows(evaluation, vocabulary))
    paths[1].write_text(rows + "\n", encoding="utf-8")
    for path, draw in zip(paths[2:], report_plots.PLOTS.values(), strict=True):
        draw(evaluation, path)
    return paths


def paths_in(folder: str | os.PathLike[str], split: str) -> list[Path]:
    """Returns where `write` puts the JSON, the table of classes, the plots."""
    names = [f"{split}.json", f"{split}_classes.tsv"]
    names += [f"{split}{ending}.png" for ending in report_plots.PLOTS]
    return [Path(folder) / name for name in names]


def _class_rows(evaluation: Evaluation, vocabulary: Vocabulary) -> list[str]:
    columns = ["depth", "train_images", "images", "average_precision"]
    tags = evaluation.tags_of_classes
    if tags is not None:
        columns += ["precision", "recall", "f1"]
    rows = ["\t".join(["wnid", "name", *columns])]
    have = [c for c in vocabulary if evaluation.positives[c.index] > 0]
    # Best first; a class's index breaks ties.
    have.sort(key=lambda c: (-evaluation.average_precision[c.index], c.index))
    for c in have:
        values = [
            c.wnid,
            c.display_name,
            str(evaluation.depth[c.index]),
            str(evaluation.train_images[c.index]),
            str(evaluation.positives[c.index]),
            f"{evaluation.average_precision[c.index]:.4f}",
        ]
        if tags is not None:
            values += [f"{value:.4f}" for value in tags[:, c.index]]
        rows.append("\t".join(values))
    return rows


def table(evaluation: Evaluation) -> Table:
    """Returns the figures as a table for the terminal."""
    from rich.table import Table

    result = Table(
        title=f"{evaluation.images:,} {evaluation.split} images, "
        f"{evaluation.labels_per_image:.2f} labels each",
        title_justify="left",
    )
    result.add_column("")
    for name in ("model", "baseline", "ceiling", "gap closed"):
        result.add_column(name, justify="right")
    for name, figure in evaluation.figures.items():
        gap = figure.gap_closed
        result.add_row(
            TITLES[name],
            f"{figure.model:.3f}",
            f"{figure.baseline:.3f}",
            f"{figure.ceiling:.3f}",
            "-" if gap is None else f"{gap:.0%}",
        )
    return result
