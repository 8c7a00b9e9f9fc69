"""A download that is killed again and again ends like one that was not."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter

import pytest

from beam_jobs.download.log import OK, log_files, read_log
from beam_jobs.download.share import RERUN
from beam_jobs.rejections import Reason
from tests.helpers.jobs import Jobs, starting
from tests.helpers.misbehaving_server import Server, serving

_SETUP = """
from beam_jobs.download import pipeline
from beam_jobs.download.download import download
from beam_jobs.download.options import DownloadOptions

def job(given):
    beam_args = given.pop("beam_args")
    download(DownloadOptions(**given), beam_args, show_progress=False)
"""
_PATIENCE = 60.0


@pytest.fixture(scope="module")
def jobs():
    with starting(_SETUP) as jobs:
        yield jobs


def finished(out) -> set[str]:
    """Returns the URLs that no later run may ask for."""
    return {
        outcome.url
        for path in log_files(str(out))
        for outcome in read_log(path)
        if outcome.status == OK or Reason(outcome.status) not in RERUN
    }


def content(out) -> dict[str, bytes]:
    """Returns all that must not depend on what stopped the job."""
    files = {
        str(path.relative_to(out)): path.read_bytes()
        for folder in ("images", "dead_letters")
        for path in (out / folder).rglob("*")
        if path.is_file()
    }
    summary = json.loads((out / "download.json").read_text())
    # Of the last run alone.
    del summary["fetched"]
    return {**files, "download.json": json.dumps(summary).encode()}


def kill_when(server: Server, job: int, asked: int) -> None:
    """Kills a job when the server has had so many requests."""
    end = time.monotonic() + _PATIENCE
    while sum(server.counts().values()) < asked and time.monotonic() < end:
        time.sleep(0.005)
    os.kill(job, signal.SIGKILL)


def check(tmp_path, jobs: Jobs, kills: int, seed: int, *beam_args) -> None:
    """Kills a job so often; the last one is left alone."""
    workers = 2 if beam_args else 1
    dice = random.Random(seed)
    kinds = {"ok": 80, "status": 0, "page": 8, "same": 6, "truncated": 6}
    paths = [f"{kind}/{i}" for kind, n in kinds.items() for i in range(n)]
    paths += [f"status/404?{i}" for i in range(8)]
    paths += [f"status/500?{i}" for i in range(4)]
    with serving(delay=0.01) as server:
        path = tmp_path / "list.txt"
        path.write_text("\n".join(server.url(p) for p in paths))
        given = {
            "lists": [str(path)],
            "beam_args": beam_args,
            "concurrency": 4,
            "per_host_rate": 0.0,
            "retries": 1,
            "backoff": 0.01,
            "placeholder_copies": 5,
            "allow_private": True,
        }
        jobs.start({"out": str(tmp_path / "whole"), **given})
        assert jobs.end() == 0
        server.requests.clear()
        out = tmp_path / "killed"
        known: dict[str, int] = {}
        for kill in range(kills):
            had = sum(server.counts().values())
            job = jobs.start({"out": str(out), **given})
            left = max(2, (len(paths) - had) // (kills - kill))
            kill_when(server, job, had + dice.randrange(1, left))
            assert jobs.end() == -signal.SIGKILL
            counts = server.counts()
            for url in finished(out) - set(known):
                known[url] = counts[url.split("/", 3)[3]]
        assert known
        jobs.start({"out": str(out), **given})
        assert jobs.end() == 0
        counts = server.counts()
    assert Counter({u: counts[u.split("/", 3)[3]] for u in known}) == known
    assert all(counts[p] for p in paths)
    # Only what was under way when the job was killed is asked for again.
    again = sum(counts[p] - 1 for p in paths if "500" not in p)
    assert again <= kills * given["concurrency"] * workers
    assert content(out) == content(tmp_path / "whole")
    assert not (out / "partial").exists()


def test_killed_three_times(tmp_path, jobs):
    check(tmp_path, jobs, 3, 1)


@pytest.mark.large
@pytest.mark.parametrize("seed", range(3))
def test_killed_ten_times(tmp_path, jobs, seed):
    check(tmp_path, jobs, 10, seed)


@pytest.mark.large
def test_killed_with_worker_processes(tmp_path, jobs):
    """Workers outlive the job for a moment; none of them fetches twice."""
    args = ("--direct_num_workers", "2")
    args += ("--direct_running_mode", "multi_processing")
    check(tmp_path, jobs, 3, 2, *args)
