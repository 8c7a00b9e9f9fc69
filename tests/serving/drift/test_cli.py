"""`tagforest drift`: status, table, page and board."""

from __future__ import annotations

import pytest

from beam_jobs.errors import InputError
from serving.traffic.tallies import REFERENCE, Tally
from tests.helpers.commands import loaded_by, run


@pytest.fixture
def model(tmp_path, classes, make_row):
    """An export as far as drift reads it."""
    vocabulary, hierarchy = classes
    assets = tmp_path / "model" / "3" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "saved_model.pb").touch()
    vocabulary.save(assets / "vocabulary.tsv")
    hierarchy.save(assets / "hierarchy.tsv", vocabulary)
    tally = Tally(*classes)
    for n in range(400):
        tally.add(make_row(n % 4))
    tally.save(
        assets / REFERENCE, {"data_set": "photos", "split": "calibration"}
    )
    return tmp_path / "model"


@pytest.fixture
def logs(tmp_path, make_line, make_row, write_log):
    """A log of good days, and one of others."""
    bright = [make_row(3, brightness=200.0)]
    return (
        write_log(tmp_path / "good", [make_line(n % 4) for n in range(300)]),
        write_log(tmp_path / "bad", [make_line(images=bright)] * 300),
    )


def test_status_0_without_drift(model, logs):
    done = run("drift", logs[0], "--model", model)
    assert done.exit_code == 0, done.output
    assert "0 alarms of" in done.output and "no alarm" in done.output


def test_status_3_a_page_and_a_board_with_drift(model, logs, tmp_path):
    page, board = tmp_path / "drift.html", tmp_path / "board"
    arguments = ("drift", logs[1], "--model", model, "--page", page)
    done = run(*arguments, "--tensorboard", board)
    assert done.exit_code == 3, done.output
    assert "n00000003" in done.output and "0 alarms of" not in done.output
    first = page.read_bytes()
    text = first.decode()
    assert (
        "Drift: " in text
        and "Brightness: alarm" in text
        and text.count("<svg") == 3
    )
    # Names come from outside; nothing is loaded and nothing runs.
    assert "<b>name" not in text and "&lt;b&gt;name 3" in text
    assert "<script" not in text and "src=" not in text
    assert run(*arguments).exit_code == 3
    assert page.read_bytes() == first
    assert points(board)["drift/alarms"][0] == 1767225600
    assert points(board)["subtree/n00000003/share"][1] == 1.0


def points(folder):
    """Returns step and value of the last point of each curve."""
    import tensorflow as tf

    found = {}
    for path in folder.glob("events*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                number = tf.make_ndarray(value.tensor).item()
                found[value.tag] = (event.step, pytest.approx(number))
    return found


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--page", "none/a.html"), "no such folder: .*none"),
        (("--since", "soon"), "received: 'soon'"),
        (("--since", "2026-02-01", "--until", "2026-01-01"), "before --until"),
        (("--alpha", "0"), "received: 0"),
        (("--last", "100"), "has 100 answered images.*before the latest"),
    ],
)
def test_refusals(model, logs, arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("drift", logs[0], "--model", model, *arguments)
    assert isinstance(done.exception, InputError)
    with pytest.raises(InputError, match=said):
        raise done.exception


def test_the_command_loads_nothing_heavy():
    heavy = ("tensorflow", "keras", "matplotlib", "numpy")
    assert loaded_by("import serving.drift.cli", *heavy) == []
