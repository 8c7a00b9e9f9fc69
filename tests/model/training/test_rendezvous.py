"""Workers that meet, on loopback; no TensorFlow."""

import contextlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from beam_jobs.errors import InputError
from model.training import rendezvous
from model.training.cluster import Workers
from model.training.endings import WorkerLostError
from model.training.local_workers import free_ports

PLAN = {"config": "a", "data set": "b"}


def cluster(count):
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    return [Workers(count, index, addresses) for index in range(count)]


def outcomes(workers, plans=None, seconds=20.0):
    """Returns what each worker's wait raised, None for those that go on."""
    plans = plans or [PLAN] * len(workers)
    with ThreadPoolExecutor(len(workers)) as pool:
        waits = [
            pool.submit(rendezvous.meet, one, plan, seconds)
            for one, plan in zip(workers, plans, strict=True)
        ]
        return [wait.exception(60) for wait in waits]


def test_all_go_on_together_and_leave_their_ports():
    workers = cluster(4)
    assert outcomes(workers) == [None] * 4
    for one in workers:
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(one.address(one.index))


def test_one_worker_waits_for_nobody():
    rendezvous.meet(Workers(), PLAN, 0.0)


@pytest.mark.parametrize("what", PLAN)
def test_another_plan_ends_all(what):
    plans = [PLAN, PLAN | {what: "other"}]
    for error in outcomes(cluster(2), plans):
        assert isinstance(error, InputError)
        assert f"worker 1 and the chief do not have the same {what}" in str(
            error
        )


@pytest.mark.parametrize("index", [0, 1])
def test_who_does_not_come_is_named(index, capsys, monkeypatch):
    monkeypatch.setattr(rendezvous, "_FIRST_WORD", 0.5)
    workers = cluster(2)
    start = time.monotonic()
    with pytest.raises(WorkerLostError) as ending:
        rendezvous.meet(workers[index], PLAN, 2.0)
    assert ending.value.code == 75
    assert 1.9 < time.monotonic() - start < 10
    awaited = f"worker {1 - index} at {workers[0].addresses[1 - index]}"
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"waiting for {awaited}"
    assert lines[-1].startswith(f"error: {awaited} did not come")


def test_a_taken_port_is_named():
    workers = cluster(2)
    with socket.socket() as other:
        other.bind(workers[1].address(1))
        other.listen()
        with pytest.raises(
            InputError, match=f"port {workers[1].address(1)[1]}"
        ):
            rendezvous.meet(workers[1], PLAN, 5.0)


def test_strangers_and_those_who_left_are_not_counted(monkeypatch):
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
            b'{"index": 1, "plan": {"config": "a", "data set": "b"}}\n',
        ):
            with contextlib.suppress(OSError):
                with connected(workers[0].address(0)) as stranger:
                    stranger.sendall(said)
        return outcomes(workers[1:])

    with ThreadPoolExecutor() as pool:
        others = pool.submit(disturb)
        rendezvous.meet(workers[0], PLAN, 30.0)
        assert others.result(30) == [None]


def connected(address):
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(address, 5)
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
