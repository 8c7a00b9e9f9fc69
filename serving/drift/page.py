"""A comparison as one HTML page that loads nothing.

Class names come from outside: Jinja escapes them, and there is no script.
"""

from __future__ import annotations

from beam_jobs.pages.page_templates import page_template, page_text
from serving.drift import report
from serving.drift.compare import FIGURE
from serving.drift.drift import Drift
from serving.drift.figures import histogram_figure, share_figure
from serving.drift.options import DriftOptions
from serving.traffic.tallies import EDGES

_MOST_ROWS = 500
_PACKAGE = "serving.drift"


def write_page(found: Drift, options: DriftOptions) -> None:
    """Writes `options.page`; equal findings give equal bytes."""
    if options.page is not None:
        options.page.write_text(render(found, options.alpha), encoding="utf-8")


def render(found: Drift, alpha: float) -> str:
    """Returns the page."""
    comparison = found.comparison
    tested = [c for c in comparison.changes if c.tested]
    return page_template(_PACKAGE, "drift.html").render(
        style=page_text(_PACKAGE, "drift.css"),
        title=f"Drift: {report.count_alarms(found)}"
        if comparison.alarms
        else "No drift",
        summary=report.summary(found, alpha),
        figures=_figures(found),
        rows=[(c.is_alarm, report.cells(c)) for c in tested[:_MOST_ROWS]],
        left_out=max(len(tested) - _MOST_ROWS, 0),
    )


def _figures(found: Drift) -> list[str]:
    # matplotlib takes a second to load.
    from beam_jobs.statistics.figures import to_svg

    comparison = found.comparison
    drawn = [share_figure(comparison)]
    changes = {c.name: c for c in comparison.changes if c.kind == FIGURE}
    for name in EDGES:
        change = changes[name.replace("_", " ")]
        if change.tested:
            histograms = (
                tally.histograms[name]
                for tally in (found.reference, found.read.tally)
            )
            drawn.append(histogram_figure(change, EDGES[name], *histograms))
    return [to_svg(figure) for figure in drawn]
