import pytest

from beam_jobs.errors import InputError
from serving.drift.drift import describe_read, find_drift
from serving.drift.options import DriftOptions, parse_time
from serving.traffic.tallies import REFERENCE, Tally


@pytest.fixture
def model(tmp_path, classes, make_row):
    """An export as far as drift reads it."""
    vocabulary, hierarchy = classes
    assets = tmp_path / "model" / "3" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "saved_model.pb").touch()
    (assets / "weights_sha256.txt").write_text("abc\n")
    vocabulary.save(assets / "vocabulary.tsv")
    hierarchy.save(assets / "hierarchy.tsv", vocabulary)
    tally = Tally(*classes)
    for n in range(400):
        tally.add(make_row(n % 4))
    about = {"data_set": "photos", "split": "calibration"}
    tally.save(assets / REFERENCE, about)
    return tmp_path / "model"


@pytest.fixture
def log(tmp_path, make_line, write_log):
    lines = [make_line(n % 4) for n in range(300)] + [make_line(version=2)]
    return write_log(tmp_path / "log", lines)


@pytest.mark.parametrize("which", ["", "3"])
def test_a_version_or_its_base_folder(model, log, which):
    found = find_drift(log, model / which)
    assert not found.comparison.alarms
    assert found.about == "400 calibration images of photos"
    assert describe_read(found.read) == (
        "301 lines = 300 requests used + 1 left out (1 other version)"
    )


def test_a_log_is_a_reference(model, log, tmp_path, make_line, write_log):
    other = write_log(
        tmp_path / "good", [make_line(1, version=2) for _ in range(300)]
    )
    options = DriftOptions(reference=other)
    found = find_drift(log, model, options)
    assert found.comparison.alarms
    assert "300 requests used" in found.about


def test_refusals(model, log, tmp_path):
    with pytest.raises(InputError, match="--request-log"):
        find_drift(tmp_path / "none", model)
    with pytest.raises(InputError, match="tagforest export"):
        find_drift(log, tmp_path)
    (model / "3" / "assets" / REFERENCE).unlink()
    with pytest.raises(InputError, match="export with --reference"):
        find_drift(log, model)


def test_too_few_requests_say_what_was_left_out(model, log):
    options = DriftOptions(least_images=1000)
    with pytest.raises(InputError, match="has 300 .*1 other version"):
        find_drift(log, model, options)


def test_times():
    assert parse_time("2026-01-01T00:00:00+00:00") == parse_time("2026-01-01")
    with pytest.raises(InputError, match="received: 'yesterday'"):
        parse_time("yesterday")
