"""A contact sheet: pictures beside their tags, as one PNG."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.api.prediction import Tag

_RIGHT, _WRONG, _UNSAID = "#2e8b57", "#c0504d", "#4a7ab5"
_CELL_INCHES = (3.9, 2.0)


@dataclass(frozen=True)
class SheetEntry:
    """One picture of the sheet.

    Attributes:
        path: image file.
        tags: to show, best first.
        truth: names of what it shows, or None if nobody knows.
    """

    path: Path
    tags: Sequence[Tag]
    truth: Sequence[str] | None = None


def write_contact_sheet(
    entries: Sequence[SheetEntry],
    path: str | os.PathLike[str],
    *,
    title: str,
    footer: str = "",
    columns: int = 3,
) -> None:
    """Writes the sheet: bars for scores, green if right and red if wrong.

    Raises:
        ValueError: no entries.
    """
    if not entries:
        raise ValueError("a contact sheet needs at least one picture")
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure

    rows = math.ceil(len(entries) / columns)
    width, height = _CELL_INCHES
    figure = Figure(
        figsize=(width * columns, height * rows + 0.9), layout="constrained"
    )
    figure.suptitle(title, fontsize=13, fontweight="bold")
    if footer:
        figure.supxlabel(footer, fontsize=8, color="#666666")
    grid = figure.add_gridspec(
        rows, 2 * columns, width_ratios=[1, 1.15] * columns
    )
    for number, entry in enumerate(entries):
        row, column = divmod(number, columns)
        _draw_picture(figure.add_subplot(grid[row, 2 * column]), entry)
        _draw_tags(figure.add_subplot(grid[row, 2 * column + 1]), entry)
    # Without the version of matplotlib: equal pictures, equal bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw_picture(axes, entry: SheetEntry) -> None:
    from PIL import Image

    with Image.open(entry.path) as image:
        axes.imshow(image.convert("RGB"), interpolation="lanczos")
    axes.set_axis_off()
    if entry.truth is not None:
        shown = textwrap.shorten(", ".join(entry.truth), 46, placeholder=" …")
        axes.set_title(textwrap.fill(shown, 26), fontsize=8, color="#333333")


def _draw_tags(axes, entry: SheetEntry) -> None:
    scores = [tag.score for tag in entry.tags]
    places = range(len(scores))
    colours = [_colour(tag, entry.truth) for tag in entry.tags]
    axes.barh(places, scores, color=colours, height=0.36, align="edge")
    for place, tag in zip(places, entry.tags, strict=True):
        axes.text(0, place - 0.08, tag.name, fontsize=8.5, va="bottom")
        axes.text(1.0, place - 0.08, f"{tag.score:.2f}", fontsize=8, ha="right")
    axes.set_xlim(0, 1)
    axes.set_ylim(max(len(scores), 3) - 0.4, -0.75)
    axes.set_axis_off()


def _colour(tag: Tag, truth: Sequence[str] | None) -> str:
    if truth is None:
        return _UNSAID
    return _RIGHT if tag.name in truth else _WRONG
