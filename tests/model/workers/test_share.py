"""Tests of model.workers.share: workers in processes of their own."""

import json
import os
import signal
import subprocess
import sys

import pytest

from beam_jobs.errors import InputError
from model.workers import share as share_
from model.workers.cluster import Workers, free_ports
from model.workers.options import WorkersOptions
from model.workers.share import share
from tests.helpers import shared_work

PLAN = {"weights": "a", "data set": "b"}


def locally(work, argument, count=3):
    options = WorkersOptions(local_workers=count)
    return share(work, (argument,), options, lambda: PLAN)


def start(work, argument, hosts, index, plan=PLAN, seconds=60):
    """Starts a worker of a cluster, which prints what `share` returns."""
    code = (
        "from model.workers.options import WorkersOptions\n"
        "from model.workers.share import share\n"
        "from tests.helpers import shared_work\n"
        f"options = WorkersOptions(hosts={hosts!r}, worker_index={index},"
        f" join_seconds={seconds})\n"
        f"print(share(shared_work.{work}, ({argument},), options,"
        f" lambda: {plan!r}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cluster(work, argument, count=3, plans=None):
    """Returns (status, output, errors) of each worker."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in free_ports(count))
    plans = plans or [PLAN] * count
    workers = [
        start(work, argument, hosts, i, plan) for i, plan in enumerate(plans)
    ]
    said = [worker.communicate(timeout=120) for worker in workers]
    return [(w.returncode, *s) for w, s in zip(workers, said, strict=True)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_local_workers_share_a_work(count):
    assert locally(shared_work.add, 10, count) == [45, count]


@pytest.mark.parametrize(
    ("work", "wrong"),
    [
        (shared_work.die, "worker 2 was killed by SIGKILL"),
        (shared_work.refuse, "^worker 2 finds it wrong$"),
        (shared_work.crash, "worker 2 ended with status 1; nothing is written"),
    ],
)
def test_a_local_worker_that_fails_ends_all(work, wrong):
    with pytest.raises(InputError, match=wrong):
        locally(work, 2)


def test_the_workers_of_a_cluster_share_a_work():
    chief, *others = cluster("add", 10)
    assert chief[:2] == (0, "[45, 3]\n"), chief
    for status, said, _ in others:
        assert status == 0
        assert said.startswith("worker 0 at 127.0.0.1:")
        assert said.endswith("has the result, with this worker's part\n")


@pytest.mark.parametrize("index", [0, 2])
def test_a_host_that_is_gone_ends_all_with_a_line(index):
    for place, (status, said, errors) in enumerate(cluster("die", index)):
        if place == index:
            assert status == -signal.SIGKILL
        else:
            assert (status, said) == (75, "")
            # On a busy machine there is a word on whom it waited for.
            last = errors.splitlines()[-1]
            assert last.startswith("error: worker ")
            assert last.endswith(
                "is gone; nothing is written: start all again with the same "
                "command"
            )


def test_what_workers_have_otherwise_is_named():
    plans = [PLAN, {**PLAN, "weights": "c"}]
    for status, said, errors in cluster("add", 10, 2, plans):
        assert (status, said) == (1, "")
        assert "the chief do not have the same weights" in errors


def test_workers_of_one_machine_are_numbered():
    hosts = ("a:1", "b:1", "a:2", "a:3", "b:2")
    places = [share_._place(Workers(5, i, hosts)) for i in range(5)]
    assert places == [0, 0, 1, 2, 1]


def test_wrong_options_are_refused(monkeypatch):
    with pytest.raises(InputError, match="--worker-index is a place in"):
        WorkersOptions(worker_index=1)
    hosts = {"worker": ["a:1", "b:1"]}
    task = {"type": "worker", "index": 0}
    text = json.dumps({"cluster": hosts, "task": task})
    monkeypatch.setitem(os.environ, "TF_CONFIG", text)
    with pytest.raises(InputError, match="received: --local-workers 3"):
        locally(shared_work.add, 10)
