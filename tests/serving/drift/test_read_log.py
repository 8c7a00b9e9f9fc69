import numpy as np
import pytest

from beam_jobs.errors import InputError
from beam_jobs.files.tfrecords import framed
from serving.api import contract
from serving.drift import read_log as module
from serving.drift.options import WindowOptions
from serving.drift.read_log import Served, log_files, read_log
from serving.traffic.log_format import image_rows, to_line
from serving.traffic.prediction_log import to_record
from serving.traffic.tallies import Tally
from tests.helpers.images import noise_image

WNIDS = ("n00000001", "n00000002", "n00000003", "n00000004")


@pytest.fixture
def tally(classes):
    return Tally(*classes)


def test_every_line_counts_or_has_a_reason(
    tmp_path, tally, make_line, make_row, write_log
):
    bad_row = {**make_row(), "scores": [1.0]}
    lines = [
        make_line(0),
        make_line(0, 1, images=[make_row(0), make_row(valid=False)]),
        b"",
        b"{cut sho",
        {"type": "else"},
        [1],
        make_line(time="now"),
        make_line(time=5.0),
        make_line(version=4),
        make_line(weights="other"),
        make_line(status="UNAVAILABLE", images=[]),
        make_line(signature="select"),
        make_line(images=[]),
        make_line(images=[bad_row]),
        make_line(images=[make_row(wnids=["n9", "n8", "n7", "n6"])]),
    ]
    path = write_log(tmp_path / "log", lines)
    window = WindowOptions(since=100.0)
    found = read_log(path, tally, window, Served(3, "abc"))
    assert found.lines == 14 and found.used == 2
    assert found.rejected == {
        "not_json": 1,
        "other_type": 2,
        "malformed": 2,
        "outside_the_window": 1,
        "other_version": 1,
        "other_model": 1,
        "failed": 1,
        "other_signature": 1,
        "no_images": 1,
        "other_classes": 1,
    }
    assert found.lines == found.used + sum(found.rejected.values())
    assert (tally.images, tally.invalid) == (3, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"valid": 1},
        {"wnids": None},
        {"wnids": [1, 2, 3, 4]},
        {"wnids": ["n00000001"] * 4},
        {"scores": ["a", 1, 1, 1]},
        {"scores": [True, 1, 1, 1]},
        {"is_tag": [1, 0, 0, 0]},
        {"brightness": -1},
        {"brightness": "dark"},
        {"height": []},
    ],
)
def test_rows_of_other_kinds_are_malformed(
    tmp_path, tally, make_line, make_row, write_log, change
):
    row = {**make_row(), **change}
    path = write_log(tmp_path / "log", [make_line(images=[row]), b"[" * 9999])
    found = read_log(path, tally)
    assert found.rejected == {"malformed": 1, "not_json": 1}
    assert tally.images == 0


def test_the_latest_requests(tmp_path, tally, make_line, write_log):
    lines = [make_line(n % 4, time=float(n)) for n in range(10)]
    lines.insert(9, {"type": "else"})
    path = write_log(tmp_path / "log", lines)
    found = read_log(path, tally, WindowOptions(last=3))
    assert (found.used, found.first, found.last) == (3, 7.0, 9.0)
    assert found.rejected == {"before_the_latest": 7, "other_type": 1}


def test_rotated_files_are_read_oldest_first(
    tmp_path, tally, make_line, write_log
):
    path = tmp_path / "log"
    for name, time in (("log", 3.0), ("log.1", 2.0), ("log.2", 1.0)):
        write_log(tmp_path / name, [make_line(0, time=time)])
    assert [f.name for f in log_files(path)] == ["log.2", "log.1", "log"]
    found = read_log(path, tally, WindowOptions(last=2))
    assert (found.first, found.last) == (2.0, 3.0)
    with pytest.raises(InputError, match="--request-log"):
        log_files(tmp_path / "none")


def test_lines_too_long_are_passed_over(
    tmp_path, tally, make_line, write_log, monkeypatch
):
    monkeypatch.setattr(module, "_MOST_LINE", 600)
    long = [make_line(0, model="x" * size) for size in (600, 5000)]
    path = write_log(tmp_path / "log", [long[0], make_line(0), long[1]])
    found = read_log(path, tally)
    assert found.rejected == {"too_long": 2} and found.used == 1


def test_records_count_as_lines_do(tmp_path, classes):
    """An image, and one that was left out of the record."""
    facts = {"model": "m", "version": 3, "status": "OK", "time": 1767225600}
    image = {"image_bytes": np.array([noise_image(0)], object)}
    outputs = {
        "wnids": np.array([[w.encode() for w in WNIDS]], object),
        "scores": np.array([[0.9, 0.8, 0.7, 0.2]], np.float32),
        "is_tag": np.array([[True, True, False, False]]),
        "valid": np.array([True]),
        "model_version": np.array([b"abc"], object),
    }
    tags = contract.TAGS
    both = [
        to_record(facts, tags, image, outputs, with_inputs=True),
        to_record(facts, tags, image, outputs),
    ]
    damaged = framed(both[0])
    records = [*map(framed, both), damaged[:-1] + b"x", framed(b"no message")]
    named = {**facts, "signature": tags, "weights": "abc"}
    lines = [
        to_line(named, image_rows(image, outputs)),
        to_line(named, image_rows({}, outputs)),
        b"{cut\n" * 2,
    ]
    found = []
    for name, content in (("records", records), ("lines", lines)):
        path = tmp_path / name
        path.write_bytes(b"".join(content))
        log = read_log(path, Tally(*classes), served=Served(3, "abc"))
        assert (log.lines, log.used) == (4, 2)
        assert log.first == 1767225600
        found.append(log.tally)
    for tally in found:
        assert tally.tags.tolist() == [2, 2, 0, 0]
        assert tally.histograms["brightness"].sum() == 1
    for name, histogram in found[0].histograms.items():
        assert histogram.tolist() == found[1].histograms[name].tolist()
