"""The two figures of a data set, as Tencent ML-Images shows them.

Images of every class, sorted, on a log scale; and the histogram of labels per
image (arXiv 1901.01703, section 2).
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from beam_jobs.dataset import dataset_folder

if TYPE_CHECKING:
    from beam_jobs.statistics.counts import Statistics

_COLOURS = ("#1b6ca8", "#e07a1f", "#3a8f5c", "#8a5aa8")
_GRID = "#e5e5e5"
_LINE = "#999999"
_INK = "#000000"

# What the page puts in place of each colour, so that a figure follows the
# page's light or dark scheme.
_STYLES = {
    _COLOURS[0]: "var(--first)",
    _COLOURS[1]: "var(--second)",
    _COLOURS[2]: "var(--third)",
    _COLOURS[3]: "var(--fourth)",
    _GRID: "var(--grid)",
    _LINE: "var(--muted)",
    _INK: "currentColor",
}


def images_per_class(
    splits: Mapping[str, Statistics], *, trainable_above: int
) -> Any:
    """Returns a figure: images of every class, largest first, log scale."""
    figure, axes = _figure()
    for colour, (split, statistics) in zip(
        _COLOURS, _ordered(splits), strict=False
    ):
        counts = np.sort(statistics.images_per_class)[::-1]
        counts = counts[counts > 0]
        axes.plot(
            np.arange(1, len(counts) + 1),
            counts,
            color=colour,
            linewidth=2,
            marker="o" if len(counts) == 1 else None,
            label=f"{split}: {len(counts):,} classes with images",
        )
    axes.axhline(
        trainable_above,
        color=_LINE,
        linewidth=1,
        linestyle=":",
        label=f"trainable: more than {trainable_above} training images",
    )
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.8)
    axes.set_title("Images per class")
    axes.set_xlabel("classes, by number of images")
    axes.set_ylabel("images (log scale)")
    axes.legend(frameon=False)
    return figure


def labels_per_image(splits: Mapping[str, Statistics]) -> Any:
    """Returns a figure: histogram of labels per image, of all splits."""
    histogram: Counter[int] = Counter()
    for statistics in splits.values():
        histogram.update(statistics.labels_per_image)
    sizes = sorted(histogram)
    images = sum(histogram.values())
    figure, axes = _figure()
    axes.bar(sizes, [histogram[n] for n in sizes], width=0.9, color=_COLOURS[0])
    if images:
        mean = sum(n * histogram[n] for n in sizes) / images
        axes.axvline(mean, color=_COLOURS[1], label=f"mean {mean:.2f}")
        axes.legend(frameon=False)
    axes.set_title(f"Labels per image, {images:,} images")
    axes.set_xlabel("labels, ancestors included")
    axes.set_ylabel("images")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    return figure


def save_png(figure: Any, path: str | os.PathLike[str]) -> None:
    """Writes a figure as PNG; equal data give equal bytes."""
    # Without the version of matplotlib in its metadata.
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})


def to_svg(figure: Any) -> str:
    """Returns a figure as an `<svg>` element for an HTML page.

    Text stays text, and colours become the page's CSS variables. Equal data
    give equal text.
    """
    import matplotlib

    target = io.StringIO()
    # The salt makes the ids in the file the same each time.
    fixed = {"svg.fonttype": "none", "svg.hashsalt": "tagforest"}
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context(fixed):
        figure.savefig(target, format="svg", transparent=True, metadata=nothing)
    text = target.getvalue()
    text = text[text.index("<svg") :]
    for colour, style in _STYLES.items():
        text = text.replace(colour, style)
    return re.sub(r"<!--.*?-->\s*", "", text)


def _ordered(
    splits: Mapping[str, Statistics],
) -> list[tuple[str, Statistics]]:
    names = [s for s in dataset_folder.SPLITS if s in splits]
    return [(s, splits[s]) for s in names if splits[s].images]


def _figure() -> tuple[Any, Any]:
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.grid(True, color=_GRID)
    axes.set_axisbelow(True)
    return figure, axes
