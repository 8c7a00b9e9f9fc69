"""The plots of an evaluation (PNG). matplotlib comes in when one is drawn."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logit

from model.evaluation.breakdowns import Comparison

if TYPE_CHECKING:
    from model.evaluation.result import Evaluation


_MODEL, _BASELINE, _CEILING = "#1b6ca8", "#e07a1f", "#dfe3e8"
_GRID, _TEXT = "#eeeeee", "#555555"
_LINES = (
    ("ceiling", "ceiling of the labels", "#9aa3ad"),
    ("model", "model", _MODEL),
    ("baseline", "most frequent tags", _BASELINE),
)


def plot_figures(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draws model, baseline and ceiling of every main figure."""
    from model.evaluation.result import TITLES

    canvas = _canvas(8, 0.5 * len(evaluation.figures) + 1.5)
    axes = canvas.add_subplot()
    figures = evaluation.figures.values()
    bars = (
        ("model", _MODEL, [f.model for f in figures]),
        ("most frequent tags", _BASELINE, [f.baseline for f in figures]),
        ("ceiling of the labels", _CEILING, [f.ceiling for f in figures]),
    )
    for row, (label, colour, values) in enumerate(bars):
        places = np.arange(len(values)) + 0.27 * (row - 1)
        drawn = axes.barh(places, values, 0.25, color=colour, label=label)
        axes.bar_label(drawn, fmt="%.2f", padding=3, fontsize=7, color=_TEXT)
    axes.set_yticks(
        np.arange(len(figures)), [TITLES[n] for n in evaluation.figures]
    )
    axes.invert_yaxis()
    axes.margins(y=0.015)
    axes.set_xlim(0, 1.06)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.xaxis.grid(True, color=_GRID)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _title(axes, _images(evaluation), 3)
    _save(canvas, path)


def plot_f1_at_k(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draws F1 at k over k, beside baseline and ceiling."""
    canvas = _canvas(7, 4.2)
    axes = canvas.add_subplot()
    ks = np.arange(1, len(evaluation.f1_at_k) + 1)
    _draw_lines(axes, ks, list(evaluation.f1_at_k))
    for k in (5, 10):
        figure = evaluation.f1_at_k[k - 1]
        axes.annotate(
            f"F1@{k} {figure.model:.3f}",
            (k, figure.model),
            (4, -13),
            textcoords="offset points",
            ha="left",
            fontsize=8,
            color=_MODEL,
        )
    axes.set_xlim(0.5, ks[-1] + 0.5)
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.set_xlabel("k, tags of an image")
    axes.set_ylabel("F1 at k, mean over images")
    _tidy(axes)
    _title(axes, _images(evaluation), 3)
    _save(canvas, path)


def plot_depth(evaluation: Evaluation, path: str | os.PathLike[str]) -> None:
    """Draws F1 at 5 of the classes from each depth down, and AP at it."""
    canvas = _canvas(10, 4.2)
    left, right = canvas.subplots(1, 2)
    rows = evaluation.depths
    depths = np.array([row.depth for row in rows])
    _draw_lines(left, depths, [row.from_depth["f1_at_5"] for row in rows])
    left.set_ylabel("F1 at 5 of the classes from this depth down")
    drawn = right.bar(
        depths,
        [row.macro_average_precision for row in rows],
        0.7,
        color=_MODEL,
    )
    classes = [f"{row.classes:,}" for row in rows]
    right.bar_label(drawn, classes, padding=2, fontsize=7, color=_TEXT)
    right.set_ylabel("macro AP of the classes at this depth")
    for axes in (left, right):
        axes.set_xlabel("depth, edges from a root")
        axes.set_xticks(depths)
        _tidy(axes)
    _title(left, _images(evaluation), 3)
    _title(right, "number of classes above the bars", 0)
    _save(canvas, path)


def plot_frequency(
    evaluation: Evaluation, path: str | os.PathLike[str]
) -> None:
    """Draws macro AP by the number of training images of a class."""
    canvas = _canvas(8, 4.2)
    axes = canvas.add_subplot()
    rows = evaluation.frequencies
    places = np.arange(len(rows))
    bars = (
        ("model", _MODEL, [row.macro_average_precision for row in rows]),
        ("scores without knowledge", _BASELINE, [r.baseline for r in rows]),
    )
    for place, (label, colour, values) in enumerate(bars):
        drawn = axes.bar(
            places + 0.4 * place - 0.2, values, 0.38, color=colour, label=label
        )
        axes.bar_label(drawn, fmt="%.2f", padding=2, fontsize=7, color=_TEXT)
    ticks = [_range(r.least, r.most) for r in rows]
    ticks = [f"{t}\n({r.classes:,})" for t, r in zip(ticks, rows, strict=True)]
    axes.set_xticks(places, ticks, fontsize=8)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("training images of a class (number of classes)")
    axes.set_ylabel("macro average precision")
    _tidy(axes)
    _title(axes, _images(evaluation), 2)
    _save(canvas, path)


def plot_reliability(
    evaluation: Evaluation, path: str | os.PathLike[str]
) -> None:
    """Draws what came true beside the probabilities, and how many there are.

    Both axes are logits: most probabilities of thousands of classes lie near
    0, and a straight line means a shift and a scale of the logit.
    """
    canvas = _canvas(6.5, 6.5)
    upper, lower = canvas.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    curves = [("scores", _BASELINE, evaluation.reliability)]
    if evaluation.calibration is not None:
        after = evaluation.calibration.after
        curves.append(("calibrated", _MODEL, after))
    upper.plot([-12, 9], [-12, 9], color="#9aa3ad", linewidth=1, linestyle="--")
    for name, colour, found in curves:
        # Bins of a handful of pairs say nothing.
        seen = (found.pairs >= 20) & (found.observed > 0) & (found.observed < 1)
        error = found.expected_calibration_error
        upper.plot(
            logit(found.probability[seen]),
            logit(found.observed[seen]),
            color=colour,
            marker="o",
            markersize=4,
            label=f"{name}: ECE {error:.2g}, expects "
            f"{found.labels_expected:.1f} labels an image",
        )
        lower.stairs(
            found.pairs, _edges(found.probability), color=colour, linewidth=1.2
        )
    _logit_axes(upper, lower)
    observed = evaluation.reliability.labels_observed
    upper.set_title(
        f"{_images(evaluation)}, {observed:.1f} labels an image", loc="left"
    )
    upper.legend(loc="upper left", frameon=False, fontsize=9)
    _save(canvas, path)


def _logit_axes(upper: Any, lower: Any) -> None:
    ticks = np.array([1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
    labels = [f"{tick:g}" for tick in ticks]
    upper.set_yticks(logit(ticks), labels)
    upper.set_ylim(-12, 8)
    upper.set_ylabel("share of positives")
    lower.set_xticks(logit(ticks), labels)
    lower.set_xlim(-12, 8)
    lower.set_yscale("log")
    lower.set_ylabel("pairs")
    lower.set_xlabel("probability of a class in an image")
    for axes in (upper, lower):
        _tidy(axes, from_0=False)
        axes.xaxis.grid(True, color=_GRID)


# Ending of the file's name -> what draws it.
PLOTS: dict[str, Callable[[Any, str | os.PathLike[str]], None]] = {
    "": plot_figures,
    "_f1_at_k": plot_f1_at_k,
    "_depth": plot_depth,
    "_frequency": plot_frequency,
    "_reliability": plot_reliability,
}


def _canvas(width: float, height: float) -> Any:
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(canvas: Any, path: str | os.PathLike[str]) -> None:
    # Without the version of matplotlib: equal figures, equal bytes.
    canvas.savefig(path, dpi=130, metadata={"Software": None})


def _draw_lines(axes: Any, x: np.ndarray, figures: list[Comparison]) -> None:
    for name, label, colour in _LINES:
        values = [getattr(figure, name) for figure in figures]
        axes.plot(
            x, values, color=colour, marker="o", markersize=3, label=label
        )


def _tidy(axes: Any, from_0: bool = True) -> None:
    if from_0:
        axes.set_ylim(0, max(axes.get_ylim()[1], 0.1) * 1.04)
    axes.yaxis.grid(True, color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _title(axes: Any, text: str, columns: int) -> None:
    """Sets a title, and under it a legend of so many columns."""
    axes.set_axisbelow(True)
    axes.set_title(text, loc="left", pad=26)
    if columns:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            ncols=columns,
            frameon=False,
            fontsize=9,
        )


def _images(evaluation: Evaluation) -> str:
    return f"{evaluation.images:,} {evaluation.split} images"


def _range(least: int, most: int) -> str:
    ends = dict.fromkeys((_short(least), _short(most)))
    return "\u2013".join(ends)


def _short(count: int) -> str:
    """Returns 2,999 as 3k and 89,748 as 90k."""
    return f"{count}" if count < 1000 else f"{count / 1000:.2g}k"


def _edges(probability: np.ndarray) -> np.ndarray:
    """Returns bounds around the bins' means, one more than bins."""
    middles = logit(np.clip(probability, 1e-9, 1 - 1e-9))
    between = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[middles[0] - 0.5], between, [middles[-1] + 0.5]])
