"""Tests of what a training says without a terminal."""

import pytest

from model.monitoring import progress


@pytest.fixture(name="clock")
def fixture_clock(monkeypatch):
    """Returns seconds that the test sets."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_a_minute(clock, capsys):
    shown = progress.Progress(epochs=3, steps=10, batch_size=8)
    # The second epoch goes on after its first 4 steps.
    shown.on_epoch_begin(1)
    for batch in range(4, 10):
        clock[0] += 40.0
        shown.on_train_batch_begin(batch)
        shown.on_train_batch_end(batch, {"loss": [2.5 - batch / 10]})
    # 2, 4 and 6 steps in 80, 160 and 240 s: 0.2 images/s, 5 s an image.
    assert capsys.readouterr().out.splitlines() == [
        "epoch  2/3  step 6/10  loss 2.000  0 images/s  560 s left",
        "epoch  2/3  step 8/10  loss 1.800  0 images/s  480 s left",
        "epoch  2/3  step 10/10  loss 1.600  0 images/s  400 s left",
    ]
