"""The plots of a comparison. matplotlib comes in when one is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving.drift.compare import FIGURE, Change, Comparison

# Those that `beam_jobs.statistics.figures.to_svg` makes the page's own.
_BEFORE, _NOW, _GRID, _LINE = "#1b6ca8", "#e07a1f", "#e5e5e5", "#999999"
_LEAST_SHARE = 1e-4


def share_figure(comparison: Comparison) -> Any:
    """Returns a plot of the shares of classes and subtrees, now over before."""
    figure, axes = _figure("Shares of images, in the reference and now")
    shares = [c for c in comparison.changes if c.kind != FIGURE and c.tested]
    for is_alarm, colour, label in (
        (False, _BEFORE, "no alarm"),
        (True, _NOW, "alarm"),
    ):
        shown = [c for c in shares if c.is_alarm is is_alarm]
        x, y = (
            np.maximum([getattr(c, name) for c in shown], _LEAST_SHARE)
            for name in ("before", "now")
        )
        axes.scatter(x, y, s=14, color=colour, label=f"{label}: {len(shown):,}")
    axes.plot([_LEAST_SHARE, 1], [_LEAST_SHARE, 1], color=_LINE, linewidth=1)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("share in the reference")
    axes.set_ylabel("share now")
    axes.legend(frameon=False)
    return figure


def histogram_figure(
    change: Change, edges: np.ndarray, before: np.ndarray, now: np.ndarray
) -> Any:
    """Returns a plot of a figure's two histograms.

    Args:
        edges: the least value of every bin but the first, [bins - 1].
        before, now: counts [bins].
    """
    verdict = "alarm" if change.is_alarm else "no alarm"
    figure, axes = _figure(
        f"{change.name.capitalize()}: {verdict}, PSI {change.psi:.3f}"
    )
    # By the number of the bin: edges of logits and powers are not even.
    used = np.flatnonzero(before + now)
    bins = np.arange(used[0], used[-1] + 1)
    for counts, colour, label in (
        (before, _BEFORE, "reference"),
        (now, _NOW, "now"),
    ):
        axes.stairs(
            counts[bins] / counts.sum(),
            np.arange(bins[0], bins[-1] + 2),
            color=colour,
            linewidth=2,
            label=label,
        )
    every = -(-len(bins) // 7)
    places = bins[bins > 0][::every]
    axes.set_xticks(places, [f"{edges[p - 1]:.3g}" for p in places])
    axes.set_ylabel("share of the images")
    axes.legend(frameon=False)
    return figure


def _figure(title: str) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.grid(color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
