"""The verdict on a data set as one HTML page, which loads nothing."""

from __future__ import annotations

from beam_jobs.data_gate.check import Verdict
from beam_jobs.files import storage
from beam_jobs.pages.page_templates import page_template, page_text

_PACKAGE = "beam_jobs.data_gate"


def write_page(verdict: Verdict, path: str) -> None:
    """Writes the page; class names come from outside, and are escaped."""
    page = page_template(_PACKAGE, "data_gate.html").render(
        title="Data gate",
        style=page_text(_PACKAGE, "data_gate.css"),
        verdict=verdict,
    )
    storage.write_text(path, page)
