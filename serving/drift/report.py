"""What was found, for the terminal."""

from __future__ import annotations

from datetime import datetime, timezone

from rich.table import Table

from serving.drift.compare import FIGURE, INVALID, Change
from serving.drift.drift import Drift, describe_read

# Of alarms; a page has all of them.
MOST_SHOWN = 30


def summary(found: Drift, alpha: float) -> list[str]:
    """Returns lines on what was compared."""
    tally, comparison = found.read.tally, found.comparison
    times = f"{at(found.read.first)} to {at(found.read.last)}"
    untested = len(comparison.changes) - comparison.tests
    return [
        describe_read(found.read),
        f"window: {tally.images:,} images, {times}",
        f"reference: {found.about}",
        f"{count_alarms(found)} of {comparison.tests:,} tests at "
        f"{alpha:g} together; {untested:,} classes, subtrees and figures have "
        "too few images for a test",
    ]


def table(found: Drift, most: int = MOST_SHOWN) -> Table:
    """Returns the alarms, or the surest changes if there are none."""
    comparison = found.comparison
    shown = comparison.alarms or comparison.changes[:5]
    title = "alarms" if comparison.alarms else "no alarm; the surest changes"
    if len(shown) > most:
        title += f", {most} of {len(shown)}"
    lines = Table(title=title)
    for name in ("what", "name", "id"):
        lines.add_column(name, overflow="fold")
    for name in ("before", "now", "PSI", "p, adjusted"):
        lines.add_column(name, justify="right", no_wrap=True)
    for change in shown[:most]:
        lines.add_row(*cells(change))
    return lines


def cells(change: Change) -> tuple[str, ...]:
    """Returns a change as texts, in the order of the table's columns."""
    values = (change.before, change.now)
    return (
        change.kind,
        change.name,
        change.wnid,
        *(in_words(change, value) for value in values),
        f"{change.psi:.4f}",
        _level(change),
    )


def count_alarms(found: Drift) -> str:
    """Returns `1 alarm`, `2 alarms` and so on."""
    count = len(found.comparison.alarms)
    return f"{count} alarm" + ("" if count == 1 else "s")


def _level(change: Change) -> str:
    if not change.tested:
        return "too few"
    # Beyond a float's range.
    return f"{change.adjusted:.2g}" if change.adjusted else "< 1e-300"


def in_words(change: Change, value: float) -> str:
    """Returns a share in percent, a figure as a number."""
    if change.kind == FIGURE and change.name != INVALID:
        return f"{value:.4g}"
    return f"{100 * value:.2f} %"


def at(seconds: float) -> str:
    """Returns a time since 1970 in ISO 8601, UTC."""
    found = datetime.fromtimestamp(seconds, timezone.utc)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")
