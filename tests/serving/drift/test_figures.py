import numpy as np
import pytest

from beam_jobs.statistics.figures import to_svg
from serving.drift.compare import Change, Comparison
from serving.drift.figures import histogram_figure, share_figure


def change(kind="class", name="dog", is_alarm=False, tested=True):
    return Change(
        kind,
        name,
        "n00000001",
        before=0.1,
        now=0.3,
        statistic=5.0,
        p=1e-6,
        psi=0.25,
        tested=tested,
        is_alarm=is_alarm,
    )


def test_shares_are_counted_by_verdict():
    changes = (
        change(),
        change(is_alarm=True),
        change("figure", "tags"),
        change(tested=False),
    )
    text = to_svg(share_figure(Comparison(changes)))
    assert "alarm: 1" in text and "no alarm: 1" in text


@pytest.mark.parametrize("is_alarm", [True, False])
def test_a_histogram_of_the_bins_that_are_used(is_alarm):
    counts = np.array([0, 0, 10, 20, 0, 0])
    figure = histogram_figure(
        change("figure", "brightness", is_alarm),
        np.array([8.0, 16, 24, 32, 40]),
        counts,
        counts[::-1],
    )
    [axes] = figure.axes
    verdict = "alarm" if is_alarm else "no alarm"
    assert axes.get_title() == f"Brightness: {verdict}, PSI 0.250"
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "16",
        "24",
    ]
    drawn = [patch.get_data().values.tolist() for patch in axes.patches]
    assert drawn == [
        pytest.approx([1 / 3, 2 / 3]),
        pytest.approx([2 / 3, 1 / 3]),
    ]
