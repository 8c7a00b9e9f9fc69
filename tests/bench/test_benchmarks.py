import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import machine, timing
from tests.bench.benchmarks import BENCHMARKS, environment

ROOT = Path(__file__).parents[2]
QUIET = {
    "cpu": "Some CPU",
    "flags": ["AVX2", "AVX-512"],
    "cores": 2,
    "MHz": 2600,
    "governor": None,
    "memory GiB": 24,
    "load": 0.5,
    "python": "3.10.13",
    "tensorflow": "2.16.2",
    "keras": "3.12.4",
    "apache-beam": "2.74.0",
    "numpy": "1.26.4",
    "commit": "abc1234",
}


def test_every_module_that_can_run_is_listed():
    folder = Path(bench.__file__).parent
    runs = {
        path.stem
        for path in folder.glob("*.py")
        if "\ndef run(folder: Path, short: bool" in path.read_text()
    }
    assert runs == set(BENCHMARKS)


def test_how_long_it_takes_is_said_before():
    lines = bench.announce(["labels", "loss"], short=False)
    whole = BENCHMARKS["labels"].seconds + BENCHMARKS["loss"].seconds
    assert lines[0].startswith(
        f"2 benchmarks, about {bench.duration(whole)} on"
    )
    assert [line.split()[0] for line in lines[1:]] == ["labels", "loss"]
    assert bench.duration(125) == "2 min 05 s"


def test_all_take_less_than_50_minutes():
    assert sum(b.seconds for b in BENCHMARKS.values()) < 50 * 60


def test_names_at_commas():
    assert bench.parse(["--only", "labels,loss"]).only == ["labels", "loss"]
    assert bench.parse(["--only", "labels", "--only", "loss"]).only == [
        "labels",
        "loss",
    ]
    with pytest.raises(argparse.ArgumentTypeError, match="received: 'speed'"):
        bench.names_of("labels,speed")


def test_threads_are_fixed():
    one = environment(BENCHMARKS["train_step"], cores=2)
    all_cores = environment(BENCHMARKS["input_pipeline"], cores=2)
    assert one["TF_NUM_INTRAOP_THREADS"] == "1"
    assert all_cores["TF_NUM_INTRAOP_THREADS"] == "2"


def test_the_machine_is_named():
    cpu, versions = machine.lines(QUIET)
    assert cpu == (
        "Some CPU, AVX2 AVX-512; 2 cores at 2600 MHz, governor unknown, "
        "24 GiB; load 0.5"
    )
    assert versions.endswith("numpy 1.26.4; commit abc1234")


def test_a_busy_machine_is_warned_of():
    *_, warning = machine.lines({**QUIET, "load": 0.6})
    assert "warning: the machine is not quiet: load 0.6" in warning


def test_this_machine_is_described():
    found = machine.describe()
    assert found["cores"] >= 1
    assert set(QUIET) <= set(found)
    assert list(machine.lines(found))


def test_own_work_is_no_others():
    others = machine.Others()
    assert 0.0 <= others.share() <= 1.0
    # All cores' time, of which this process took everything.
    others._start = tuple(
        now - then
        for now, then in zip(others._seconds(), (10, 8, 8), strict=True)
    )
    assert others.share() < 0.2


def test_what_is_refused_is_said_in_the_table(capsys):
    rows = [timing.compare_added("grpc", [0.01] * 6, [0.02, 0.01, 0.03] * 2)]
    bench.show(rows)
    shown = capsys.readouterr().out
    assert "median between" in shown
    assert "0 of 1 results measured" in shown


@pytest.mark.large
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_short_form_runs(name):
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--short", "--only", name],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "results measured" in done.stdout
