"""A contact sheet: images beside their tags, as one PNG."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.api.prediction import Tag

_RIGHT, _WRONG, _UNSAID = "#2e8b57", "#c0504d", "#4a7ab5"
# The same colours mixed with white: classes that miss their threshold.
_PALE = {_RIGHT: "#bcdccb", _WRONG: "#e8c6c5", _UNSAID: "#c5d4e6"}
_TRACK, _TEXT, _QUIET = "#eeeeee", "#222222", "#7a7a7a"
_CELL_INCHES = (4.1, 2.05)
_COLUMNS = 3
_LONGEST_NAME, _LONGEST_TRUTH = 24, 60
_KEY = (
    "✓ green: shown in the image, ✗ red: not   |   full colour: reaches its "
    "class's threshold (black line)   |   number: calibrated probability"
)
# Not by colour alone: one in twelve men cannot tell red from green.
_MARKS = {_RIGHT: "✓ ", _WRONG: "✗ ", _UNSAID: ""}


@dataclass(frozen=True)
class SheetEntry:
    """One image of the sheet.

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
    thresholds: Mapping[str, float],
    *,
    title: str,
    footer: str = "",
) -> None:
    """Writes the sheet: a bar for each score, a line for its threshold.

    A tag is green if the image shows it and red if not, and pale where
    the score does not reach the threshold.

    Args:
        entries: what to show, row by row.
        thresholds: WordNet id -> probability from which on it is a tag; a
            class without one gets no line.
        footer: below the key of the colours, such as a credit.

    Raises:
        ValueError: no entries.
    """
    if not entries:
        raise ValueError("a contact sheet needs at least one image")
    rows = math.ceil(len(entries) / _COLUMNS)
    figure = _figure(rows)
    figure.suptitle(title, fontsize=14, fontweight="bold", color=_TEXT)
    figure.supxlabel(f"{_KEY}\n{footer}".strip(), fontsize=8.5, color="#555555")
    grid = figure.add_gridspec(
        rows, 2 * _COLUMNS, width_ratios=[1, 1.25] * _COLUMNS
    )
    for number, entry in enumerate(entries):
        row, column = divmod(number, _COLUMNS)
        _draw_image(figure.add_subplot(grid[row, 2 * column]), entry)
        _draw_tags(
            figure.add_subplot(grid[row, 2 * column + 1]), entry, thresholds
        )
    # Without the version of matplotlib: equal images, equal bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _figure(rows: int):
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width, height = _CELL_INCHES
    return Figure(
        figsize=(width * _COLUMNS, height * rows + 1.0),
        layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08),
    )


def _draw_image(axes, entry: SheetEntry) -> None:
    from PIL import Image

    with Image.open(entry.path) as image:
        axes.imshow(image.convert("RGB"), interpolation="lanczos")
    axes.set_axis_off()
    if entry.truth is not None:
        shown = textwrap.shorten(
            ", ".join(entry.truth), _LONGEST_TRUTH, placeholder=" …"
        )
        axes.set_title(textwrap.fill(shown, 28), fontsize=8, color="#555555")


def _draw_tags(
    axes, entry: SheetEntry, thresholds: Mapping[str, float]
) -> None:
    for place, tag in enumerate(entry.tags):
        colour = _colour(tag, entry.truth)
        text = _TEXT if tag.is_tag else _QUIET
        axes.barh(place, 1, height=0.3, align="edge", color=_TRACK)
        axes.barh(
            place,
            tag.score,
            height=0.3,
            align="edge",
            color=colour if tag.is_tag else _PALE[colour],
        )
        threshold = thresholds.get(tag.wnid, math.inf)
        if threshold <= 1:
            axes.vlines(threshold, place - 0.04, place + 0.34, _TEXT, lw=1.2)
        name = _MARKS[colour] + _cut(tag.name)
        style = {"fontsize": 9, "va": "bottom", "color": text}
        axes.text(0, place - 0.06, name, **style)
        axes.text(1, place - 0.06, f"{tag.score:.2f}", ha="right", **style)
    axes.set_xlim(0, 1.01)
    axes.set_ylim(max(len(entry.tags), 5) - 0.5, -0.7)
    axes.set_axis_off()


def _colour(tag: Tag, truth: Sequence[str] | None) -> str:
    if truth is None:
        return _UNSAID
    return _RIGHT if tag.name in truth else _WRONG


def _cut(name: str) -> str:
    short = name[: _LONGEST_NAME - 1].rstrip() + "…"
    return name if len(name) <= _LONGEST_NAME else short
