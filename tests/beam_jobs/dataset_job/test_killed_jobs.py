"""A job that is killed and started again ends like one that was not."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.datasets import file_hashes
from tests.helpers.images import noise_image
from tests.helpers.jobs import starting
from tests.helpers.raw_sources import (
    APPLE,
    CAT,
    DOG,
    write_defective_open_images,
    write_imagenet,
)

_SETUP = """
import json, os, sys
import tensorflow
from matplotlib.backends import backend_agg, backend_svg
from beam_jobs.classes.wordnet import load_wordnet
from beam_jobs.dataset_job import pipeline
from beam_jobs.labels import label_rules_kernel
from beam_jobs.statistics import page
from tfx_pipeline.cli import main
load_wordnet()

def job(arguments):
    sys.argv = ["tagforest", *arguments]
    return main()
"""
# What shows that a stage has begun, and how many files of it at least.
_MOMENTS = {
    "read": (".work/read/*", 1),
    "classes": ("vocabulary.tsv", 1),
    "images": (".work/images/*.arrow", 1),
    "first shard": ("train/*", 1),
    "some shards": ("train/*.tfrecord", 6),
    "end": ("dead_letters/*", 1),
}
_PATIENCE = 120.0
_PROCESSES = (
    *("--direct_num_workers", "2"),
    *("--direct_running_mode", "multi_processing"),
)


@pytest.fixture(scope="module")
def jobs():
    with starting(_SETUP) as jobs:
        yield jobs


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """60 images of tars, an Open Images folder with defects, a CSV."""
    folder = tmp_path_factory.mktemp("killed")
    write_imagenet(folder / "imagenet" / "images", (DOG, CAT, APPLE), 20)
    write_defective_open_images(folder / "open_images")
    rows = [f"{i}.png,{DOG if i % 2 else 'apple'}" for i in range(20)]
    (folder / "own.csv").write_text("\n".join(["image,label", *rows]) + "\n")
    for i in range(19):
        (folder / f"{i}.png").write_bytes(noise_image(500 + i, form="PNG"))
    return folder


@pytest.fixture(scope="module")
def whole(raw, jobs) -> dict[str, str]:
    """What an undisturbed run leaves."""
    jobs.start(command(raw, "whole"))
    assert jobs.end() == 0
    return file_hashes(raw / "whole")


def command(raw: Path, out: str, *beam_args: str) -> list[str]:
    return [
        *("dataset", "--imagenet", str(raw / "imagenet")),
        *("--open-images", str(raw / "open_images")),
        *("--csv", str(raw / "own.csv"), "--out", str(raw / out)),
        *("--min-images-open-images", "1", "--images-per-shard", "5"),
        *beam_args,
    ]


def kill_at(
    out: Path, job: int, moment: str, started: int, dice: random.Random
) -> None:
    """Kills a job, children included, when a stage has begun."""
    pattern, least = _MOMENTS[moment]
    end = time.monotonic() + _PATIENCE
    while _count_newer(out, pattern, started) < least:
        assert time.monotonic() < end, f"{moment}: no {pattern}"
        time.sleep(0.001)
    time.sleep(dice.uniform(0, 0.02))
    os.killpg(job, signal.SIGKILL)


def _count_newer(out: Path, pattern: str, started: int) -> int:
    """Counts files that no killed job has left."""
    count = 0
    for path in out.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            count += path.stat().st_mtime_ns > started
    return count


def check(raw, jobs, whole, moments: list[str], seed: int, *beam_args) -> None:
    """Kills a job at each of the moments; then lets it end."""
    dice = random.Random(seed)
    name = f"killed-{seed}-{len(beam_args)}"
    given = command(raw, name, *beam_args)
    for moment in moments:
        started = time.time_ns()
        job = jobs.start(given)
        kill_at(raw / name, job, moment, started, dice)
        # The last stage is short: the job may have ended before the signal.
        assert jobs.end() in (-signal.SIGKILL, 0), moment
    jobs.start(given)
    assert jobs.end() == 0
    assert file_hashes(raw / name) == whole
    left = [p.name for p in (raw / name).rglob("*")]
    assert not [n for n in left if n.startswith(".work") or ".part" in n]


@pytest.mark.large
@pytest.mark.ci
def test_killed_twice(raw, jobs, whole):
    dice = random.Random(0)
    check(raw, jobs, whole, [dice.choice(("read", "images")), "some shards"], 0)


@pytest.mark.large
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_ten_times(raw, jobs, whole, seed):
    moments = [*_MOMENTS, *_MOMENTS][:10]
    random.Random(seed).shuffle(moments)
    check(raw, jobs, whole, moments, seed)


@pytest.mark.large
def test_killed_with_worker_processes(raw, jobs, whole):
    check(raw, jobs, whole, ["images", "some shards"], 3, *_PROCESSES)


@pytest.mark.large
def test_the_command_itself_can_be_killed(raw, whole):
    """Without the shortcut of a process that has imported everything."""
    program = Path(sys.executable).with_name("tagforest")
    given = [str(program), *command(raw, "own")]
    started = time.time_ns()
    process = subprocess.Popen(
        given,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    dice = random.Random(4)
    kill_at(raw / "own", process.pid, "some shards", started, dice)
    process.wait()
    subprocess.run(given, check=True, capture_output=True)
    assert file_hashes(raw / "own") == whole
