"""The two figures of a data set, as Tencent ML-Images shows them.

Images of every class, sorted, on a log scale; and the histogram of labels per
image (arXiv 1901.01703, section 2).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from beam_jobs import layout

if TYPE_CHECKING:
    from beam_jobs.statistics import Statistics

COLOURS = ("#1b6ca8", "#e07a1f", "#3a8f5c")

Target = str | os.PathLike[str] | IO[bytes]


def plot_images_per_class(
    splits: Mapping[str, Statistics], target: Target, *, trainable_above: int
) -> None:
    """Draws images of every class, largest first, on a log scale (PNG)."""
    figure, axes = _figure()
    for colour, (split, statistics) in zip(
        COLOURS, _ordered(splits), strict=False
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
        color="#999999",
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
    _save(figure, target)


def plot_labels_per_image(
    splits: Mapping[str, Statistics], target: Target
) -> None:
    """Draws the histogram of labels per image, all splits together (PNG)."""
    histogram: Counter[int] = Counter()
    for statistics in splits.values():
        histogram.update(statistics.labels_per_image)
    sizes = sorted(histogram)
    images = sum(histogram.values())
    figure, axes = _figure()
    axes.bar(sizes, [histogram[n] for n in sizes], width=0.9, color=COLOURS[0])
    if images:
        mean = sum(n * histogram[n] for n in sizes) / images
        axes.axvline(mean, color=COLOURS[1], label=f"mean {mean:.2f}")
        axes.legend(frameon=False)
    axes.set_title(f"Labels per image, {images:,} images")
    axes.set_xlabel("labels, ancestors included")
    axes.set_ylabel("images")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    _save(figure, target)


def _ordered(
    splits: Mapping[str, Statistics],
) -> list[tuple[str, Statistics]]:
    names = [s for s in layout.SPLITS if s in splits]
    return [(s, splits[s]) for s in names if splits[s].images]


def _figure() -> tuple[Any, Any]:
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.grid(True, color="#e5e5e5")
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, target: Target) -> None:
    # Without the version of matplotlib: equal data, equal bytes.
    figure.savefig(target, format="png", dpi=120, metadata={"Software": None})
