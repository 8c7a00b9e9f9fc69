"""Workers that meet, on loopback; no TensorFlow."""

import contextlib
import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from beam_jobs.errors import InputError
from model.workers import rendezvous, waiting
from model.workers.cluster import Workers, free_ports
from model.workers.endings import WorkerLostError

PLAN = {"config": "a", "data set": "b"}


def cluster(count):
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    return [Workers(count, index, addresses) for index in range(count)]


def outcomes(workers, folder, plans=None, seconds=20.0):
    """Returns what each worker's wait raised, None for those that go on."""
    plans = plans or [PLAN] * len(workers)
    with ThreadPoolExecutor(len(workers)) as pool:
        waits = [
            pool.submit(meet, one, folder, plan, seconds)
            for one, plan in zip(workers, plans, strict=True)
        ]
        return [wait.exception(60) for wait in waits]


def meet(worker, folder, plan=PLAN, seconds=20.0):
    with rendezvous.meeting(worker, plan, seconds, folder):
        pass


def test_all_go_on_together_and_leave_their_ports(tmp_path):
    workers = cluster(4)
    assert outcomes(workers, tmp_path) == [None] * 4
    assert not any((tmp_path / "workers").iterdir())
    for one in workers:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(one.address(one.index))


def test_one_worker_waits_for_nobody(tmp_path):
    meet(Workers(), tmp_path, seconds=0.0)


@pytest.mark.parametrize("what", PLAN)
def test_another_plan_ends_all(what, tmp_path):
    plans = [PLAN, PLAN | {what: "other"}]
    for error in outcomes(cluster(2), tmp_path, plans):
        assert isinstance(error, InputError)
        assert str(error) == (
            f"worker 1 and the chief do not have the same {what}: other and "
            f"{PLAN[what]}"
        )


def test_another_version_may_have_other_fields(tmp_path):
    plans = [PLAN, PLAN | {"config, data.new": "1"}]
    for error in outcomes(cluster(2), tmp_path, plans):
        assert "the same config, data.new: 1 and None" in str(error)


def test_workers_of_another_folder_are_found(tmp_path):
    chief, other = cluster(2)
    with ThreadPoolExecutor(2) as pool:
        waits = [
            pool.submit(meet, chief, tmp_path / "shared"),
            pool.submit(meet, other, tmp_path / "own"),
        ]
        errors = [str(wait.exception(60)) for wait in waits]
    assert errors[0] == errors[1]
    assert errors[0].startswith("worker 1 (")
    assert f"in its own, {tmp_path}/own: give all of them the" in errors[0]


def test_two_processes_that_are_one_worker_are_both_named(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(rendezvous, "_TOLD_SECONDS", 0.5)
    chief, one, _ = cluster(3)
    # As on another host, where its port is free.
    addresses = (chief.addresses[0], *cluster(2)[0].addresses)
    other = Workers(3, 1, addresses)
    who = f"{socket.gethostname()}, process {os.getpid()}"
    for error in outcomes([chief, one, other], tmp_path):
        assert isinstance(error, InputError)
        assert str(error) == (
            f"two processes are worker 1: {who}, and {who}; give each its own "
            "--worker-index"
        )


def test_one_that_is_started_again_is_not_its_own_double(monkeypatch, tmp_path):
    monkeypatch.setattr(rendezvous, "_LINE_SECONDS", 0.5)
    chief, one = cluster(2)
    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(meet, chief, tmp_path)]
        with connected(chief.address(0)) as lost:
            # Its host is gone, and nothing closes the connection.
            lost.sendall(hello(1))
            waits.append(pool.submit(meet, one, tmp_path))
            assert [wait.exception(60) for wait in waits] == [None, None]


def test_those_who_wait_hear_why_the_chief_does_not_come(tmp_path):
    chief, one = cluster(2)

    def refuse():
        with rendezvous.refusals_told(chief):
            raise InputError("no data set")

    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(meet, one, tmp_path), pool.submit(refuse)]
        errors = [str(wait.exception(60)) for wait in waits]
    assert errors == ["the chief does not start: no data set", "no data set"]


def test_a_worker_that_does_not_start_ends_the_wait_of_all(tmp_path):
    chief, one, other = cluster(3)

    def refuse():
        with rendezvous.refusals_told(other):
            raise InputError("no data set")

    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(meet, chief, tmp_path)]
        connected(chief.address(0)).close()
        refusal = pool.submit(refuse)
        assert str(refusal.exception(60)) == "no data set"
        # One that is late hears it as well.
        waits.append(pool.submit(meet, one, tmp_path))
        for wait in waits:
            said = "worker 2 does not start: no data set"
            assert str(wait.exception(60)) == said


def hello(index):
    said = {"index": index, "who": "a, process 1", "plan": PLAN}
    return json.dumps(said).encode() + b"\n"


@pytest.mark.parametrize("index", [0, 1])
def test_who_does_not_come_is_named(index, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(waiting, "_FIRST_WORD", 0.5)
    workers = cluster(2)
    start = time.monotonic()
    with pytest.raises(WorkerLostError) as ending:
        meet(workers[index], tmp_path, seconds=2.0)
    assert ending.value.code == 75
    assert 1.9 < time.monotonic() - start < 10
    awaited = f"worker {1 - index} at {workers[0].addresses[1 - index]}"
    lines = capsys.readouterr().err.splitlines()
    # Only who asks hears why it gets no answer.
    awaited += " (Connection refused)" if index else ""
    assert lines[0] == f"waiting for {awaited}"
    assert lines[-1].startswith(f"error: {awaited} did not come")


def test_a_taken_port_is_named(tmp_path):
    workers = cluster(2)
    with socket.socket() as other:
        other.bind(workers[1].address(1))
        other.listen()
        with pytest.raises(
            InputError, match=f"port {workers[1].address(1)[1]}"
        ):
            meet(workers[1], tmp_path, seconds=5.0)


def test_strangers_and_those_who_left_are_not_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(rendezvous, "_LINE_SECONDS", 0.5)
    workers = cluster(2)

    def disturb():
        for said in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"x" * 9000,
            b"[1]\n",
            b'{"index": 7, "plan": {}}\n',
            b'{"index": 1}\n',
            b"",
            # One that gives its number and is gone.
            hello(1),
        ):
            with contextlib.suppress(OSError):
                with connected(workers[0].address(0)) as stranger:
                    stranger.sendall(said)
        return outcomes(workers[1:], tmp_path)

    with ThreadPoolExecutor() as pool:
        others = pool.submit(disturb)
        meet(workers[0], tmp_path, seconds=30.0)
        assert others.result(30) == [None]


def connected(address):
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(address, 5)
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
