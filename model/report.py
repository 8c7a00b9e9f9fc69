"""What an evaluation found, and how it is written, drawn and printed.

Imports neither TensorFlow nor Keras; matplotlib and rich only when used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beam_jobs.vocabulary import Vocabulary
from model.baselines import gap_closed

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

_MODEL, _BASELINE, _CEILING = "#1b6ca8", "#e07a1f", "#dfe3e8"


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
    """

    split: str
    images: int
    labels_per_image: float
    figures: Mapping[str, Comparison]
    average_precision: np.ndarray
    positives: np.ndarray
    depth: np.ndarray

    def __getitem__(self, name: str) -> Comparison:
        return self.figures[name]

    def by_depth(self) -> list[dict[str, Any]]:
        """Returns macro AP and number of classes with positives by depth."""
        rows = []
        for depth in np.unique(self.depth[self.positives > 0]).tolist():
            chosen = (self.depth == depth) & (self.positives > 0)
            mean = float(self.average_precision[chosen].mean())
            rows.append(
                {
                    "depth": depth,
                    "classes": int(chosen.sum()),
                    "macro_average_precision": round(mean, 6),
                }
            )
        return rows

    def to_json(self) -> dict[str, Any]:
        """Returns the content of `<split>.json`."""
        return {
            "split": self.split,
            "images": self.images,
            "labels_per_image": round(self.labels_per_image, 6),
            "classes_with_images": int((self.positives > 0).sum()),
            "figures": {n: c.to_json() for n, c in self.figures.items()},
            "by_depth": self.by_depth(),
        }


def write(
    evaluation: Evaluation,
    folder: str | os.PathLike[str],
    vocabulary: Vocabulary,
) -> list[Path]:
    """Writes `<split>.json`, `<split>_classes.tsv` and `<split>.png`.

    Args:
        evaluation: what to write.
        folder: made if need be.
        vocabulary: the classes' names.

    Returns:
        The three paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = paths_in(folder, evaluation.split)
    text = json.dumps(evaluation.to_json(), indent=2, sort_keys=True)
    paths[0].write_text(text + "\n", encoding="utf-8")
    rows = "\n".join(_class_rows(evaluation, vocabulary))
    paths[1].write_text(rows + "\n", encoding="utf-8")
    plot(evaluation, paths[2])
    return paths


def paths_in(folder: str | os.PathLike[str], split: str) -> list[Path]:
    """Returns where `write` puts the JSON, the table of classes, the plot."""
    names = (f"{split}.json", f"{split}_classes.tsv", f"{split}.png")
    return [Path(folder) / name for name in names]


def _class_rows(evaluation: Evaluation, vocabulary: Vocabulary) -> list[str]:
    rows = ["wnid\tname\tdepth\timages\taverage_precision"]
    have = [c for c in vocabulary if evaluation.positives[c.index] > 0]
    # Best first; a class's index breaks ties.
    have.sort(key=lambda c: (-evaluation.average_precision[c.index], c.index))
    for c in have:
        rows.append(
            f"{c.wnid}\t{c.display_name}\t{evaluation.depth[c.index]}\t"
            f"{evaluation.positives[c.index]}\t"
            f"{evaluation.average_precision[c.index]:.4f}"
        )
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


def plot(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draws model, baseline and ceiling of every figure (PNG)."""
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure

    height = 0.5 * len(evaluation.figures) + 1.5
    canvas = Figure(figsize=(8, height), layout="constrained")
    axes = canvas.add_subplot()
    figures = evaluation.figures.values()
    bars = (
        ("model", _MODEL, [f.model for f in figures]),
        ("most frequent tags", _BASELINE, [f.baseline for f in figures]),
        ("ceiling of the labels", _CEILING, [f.ceiling for f in figures]),
    )
    for row, (label, colour, values) in enumerate(bars):
        _draw_bars(axes, row, label, colour, values)
    axes.set_yticks(
        np.arange(len(figures)), [TITLES[n] for n in evaluation.figures]
    )
    _tidy(axes)
    axes.set_title(
        f"{evaluation.images:,} {evaluation.split} images", loc="left", pad=26
    )
    # Without the version of matplotlib: equal figures, equal bytes.
    canvas.savefig(path, dpi=130, metadata={"Software": None})


def _draw_bars(
    axes: Any, row: int, label: str, colour: str, values: list[float]
) -> None:
    places = np.arange(len(values)) + 0.27 * (row - 1)
    bars = axes.barh(places, values, height=0.25, color=colour, label=label)
    axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=7, color="#555555")


def _tidy(axes: Any) -> None:
    axes.invert_yaxis()
    axes.margins(y=0.015)
    axes.set_xlim(0, 1.06)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.xaxis.grid(True, color="#eeeeee")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False
    )
