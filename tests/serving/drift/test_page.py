from dataclasses import replace

import pytest

from serving.drift.compare import compare
from serving.drift.drift import Drift
from serving.drift.options import DriftOptions
from serving.drift.page import render, write_page
from serving.drift.read_log import ReadLog
from serving.traffic.tallies import Tally


@pytest.fixture
def found(classes, make_row):
    reference, window = Tally(*classes), Tally(*classes)
    for n in range(300):
        reference.add(make_row(n % 4, brightness=100.0 + n % 9))
        window.add(make_row(1, brightness=200.0 + n % 9))
    read = ReadLog(window, lines=300, used=300, first=0.0, last=9.0)
    return Drift(
        reference, "photos", read, compare(reference, window, *classes)
    )


def test_every_change_and_plot_is_there(found, tmp_path):
    path = tmp_path / "drift.html"
    write_page(found, DriftOptions(page=path))
    text = path.read_text()
    assert text == render(found, 0.01)
    assert f"Drift: {len(found.comparison.alarms)} alarms" in text
    # Brightness, and the tags' mean score; the others are all alike.
    assert text.count("<svg") == 3
    tested = sum(c.tested for c in found.comparison.changes)
    assert text.count("<tr") == 1 + tested


def test_names_are_escaped_and_nothing_is_loaded(found):
    text = render(found, 0.01)
    assert "<b>name" not in text and "&lt;b&gt;name 1" in text
    assert "<script" not in text and "src=" not in text


def test_no_drift(found):
    calm = tuple(replace(c, is_alarm=False) for c in found.comparison.changes)
    comparison = replace(found.comparison, changes=calm)
    text = render(replace(found, comparison=comparison), 0.01)
    assert "<h1>No drift</h1>" in text and 'class="alarm"' not in text
