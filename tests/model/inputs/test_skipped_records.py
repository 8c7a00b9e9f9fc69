"""Tests of the count of damaged records."""

import pytest

from beam_jobs.errors import InputError
from model import workdir as files
from model.inputs.skipped_records import SkippedRecords, gather

ERROR = InputError("a is damaged")


def test_none_is_passed_over_by_default():
    with pytest.raises(InputError, match="^a is damaged$"):
        SkippedRecords(0.0, 100).add(0, 3, ERROR)


def test_up_to_a_share_of_each_epoch():
    skipped = SkippedRecords(0.02, 100)
    for epoch in range(2):
        # A place counts once, whatever else is wrong with it.
        for place in (3, 3, 4, 4):
            skipped.add(epoch, place, ERROR)
    with pytest.raises(InputError, match="more than the 2 damaged .* allows"):
        skipped.add(1, 5, ERROR)


def test_a_list_that_grows_over_runs_and_workers(tmp_path, capsys):
    assert gather(tmp_path) == 0
    for worker, names in [(0, "ab"), (1, "bc"), (0, "ad")]:
        file = files.damaged_of(tmp_path, worker)
        skipped = SkippedRecords(1.0, 100, file)
        for place, name in enumerate(names):
            skipped.add(0, place, InputError(f"{name} is damaged"))
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"passed over: {name} is damaged" for name in ("a", "b", "b", "c", "d")
    ]
    assert gather(tmp_path) == 4
    path = tmp_path / files.DAMAGED
    assert path.read_text().split(" is damaged\n") == [*"abcd", ""]
    assert f"4 damaged records were passed over: {path}" in (
        capsys.readouterr().out
    )
