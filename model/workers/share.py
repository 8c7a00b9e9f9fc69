"""Shares a work between processes of this machine, or a cluster's hosts.

Each holds a link to the chief as long as the work lasts: who ends, ends all.
"""

from __future__ import annotations

import contextlib
import pickle
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from beam_jobs.errors import InputError
from beam_jobs.files.tensorflow_files import end_process
from model.workers import cluster, links, rendezvous
from model.workers.cluster import Workers
from model.workers.endings import (
    LOST_STATUS,
    PartDoneError,
    WorkerLostError,
    describe_status,
)
from model.workers.links import Link, LinkLostError
from model.workers.options import WorkersOptions
from model.workers.team import Team

_T = TypeVar("_T")
_POLL_SECONDS = 0.2
# For a connection's first word.
_HELLO_SECONDS = 5.0
# To end after its link did.
_END_SECONDS = 10.0


@dataclass(frozen=True)
class _Plan:
    """Who works, and how they know each other.

    Attributes:
        key: that no stranger knows.
        seconds: longest wait for the others.
        is_local: all are processes of this machine that the chief started.
    """

    workers: Workers
    key: str
    seconds: float
    is_local: bool


def share(
    work: Callable[..., _T],
    arguments: Sequence[Any],
    options: WorkersOptions,
    plan: Callable[[], Mapping[str, str]],
) -> _T:
    """Returns what the chief makes of `work(team, *arguments)`.

    All workers run it.

    Args:
        work: a function of a module.
        options: who works; by default this process alone, or all of
            TF_CONFIG.
        plan: returns what all must have alike, for a cluster; see
            `rendezvous.meet`.

    Raises:
        InputError: what the work raises, of any worker; a local worker died.
        WorkerLostError: another host's worker ended, or did not come.
        PartDoneError: this is not the chief, and its part is done.
    """
    if options.hosts is not None:
        cluster.join(options.hosts, options.worker_index)
    workers = cluster.workers_from_environment()
    if workers.count > 1:
        cluster.check_not_local(options.local_workers)
        said = plan()
        rendezvous.meet(workers, said, options.join_seconds)
        key = "".join(said.values())
        whole = _Plan(workers, key, options.join_seconds, False)
        return _on_cluster(whole, work, arguments)
    if options.local_workers > 1:
        return _locally(options, work, arguments)
    return work(Team(), *arguments)


def _on_cluster(plan: _Plan, work: Callable[..., _T], arguments) -> _T:
    try:
        if not plan.workers.is_chief:
            return _beside(plan, work, arguments)
        host, port = plan.workers.address(0)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.create_server(("", port), family=family) as server:
            return _as_chief(plan, server, [], work, arguments)
    except PartDoneError:
        print(f"{_name(plan, 0)} has the result, with this worker's part")
        raise
    except LinkLostError as error:
        print(
            f"error: {error} is gone; nothing is written: start all again "
            "with the same command",
            file=sys.stderr,
        )
        raise WorkerLostError from error


def _locally(options: WorkersOptions, work: Callable[..., _T], arguments) -> _T:
    count = options.local_workers
    with contextlib.ExitStack() as stack:
        server = socket.create_server(("127.0.0.1", 0))
        stack.enter_context(server)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        workers = Workers(count, 0, (address,) * count)
        plan = _Plan(
            workers, secrets.token_hex(), options.join_seconds, is_local=True
        )
        others = []
        for index in range(1, count):
            here = replace(plan, workers=replace(workers, index=index))
            others.append(_start(here, work, arguments))
            stack.callback(_end, others[-1])
        try:
            return _as_chief(plan, server, others, work, arguments)
        except LinkLostError as error:
            raise InputError(_how_it_ended(others, error)) from error


def _start(plan: _Plan, work, arguments) -> subprocess.Popen:
    # A file without a name, which only the two can read. The processes of
    # `multiprocessing` pickle too, and run the caller's script once more.
    with tempfile.TemporaryFile() as told:
        pickle.dump((plan, work, arguments), told)
        told.seek(0)
        return subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=told,
            stdout=subprocess.DEVNULL,
            # Ctrl-C is the chief's, whose end ends them all.
            start_new_session=True,
        )


def _end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()


def _how_it_ended(others: list[subprocess.Popen], error: LinkLostError) -> str:
    """Returns a line on the first process that failed."""
    end = time.monotonic() + _END_SECONDS
    while time.monotonic() < end:
        for index, process in enumerate(others, 1):
            # Who lost its link ended because of another one.
            if process.poll() not in (None, 0, LOST_STATUS):
                how = describe_status(process.returncode)
                return f"worker {index} {how}; nothing is written"
        time.sleep(_POLL_SECONDS)
    return f"{error} is gone; nothing is written"


def _as_chief(
    plan: _Plan,
    server: socket.socket,
    others: list[subprocess.Popen],
    work: Callable[..., _T],
    arguments: Sequence[Any],
) -> _T:
    with contextlib.ExitStack() as stack:
        found = _accept_all(plan, server, others, stack)
        team = Team(0, plan.workers.count, found)
        try:
            result = work(team, *arguments)
        except InputError as error:
            team.end(error)
            raise
        team.end()
        return result


def _accept_all(
    plan: _Plan,
    server: socket.socket,
    others: list[subprocess.Popen],
    stack: contextlib.ExitStack,
) -> list[Link]:
    """Returns the links to workers 1, 2, ..."""
    server.settimeout(_POLL_SECONDS)
    end = time.monotonic() + plan.seconds
    here: dict[int, Link] = {}
    while len(here) < plan.workers.count - 1:
        missing = next(i for i in range(1, plan.workers.count) if i not in here)
        is_dead = any(process.poll() is not None for process in others)
        if is_dead or time.monotonic() > end:
            raise LinkLostError(_name(plan, missing))
        # A stranger, or nobody for now.
        with contextlib.suppress(OSError, LinkLostError, ValueError):
            connection, _ = server.accept()
            index = _greeted(connection, plan)
            here[index] = Link(connection, _name(plan, index))
            stack.callback(here[index].close)
    return [here[index] for index in sorted(here)]


def _greeted(connection: socket.socket, plan: _Plan) -> int:
    """Returns the number of the worker that has come.

    Raises:
        ValueError: it is none of them.
    """
    connection.settimeout(_HELLO_SECONDS)
    link = Link(connection, "a stranger")
    try:
        said = link.receive(links.HELLO).decode()
        index, _, key = said.partition(" ")
        if key == plan.key and 0 < int(index) < plan.workers.count:
            link.send(links.WELCOME)
            connection.settimeout(None)
            return int(index)
    except (LinkLostError, ValueError):
        link.close()
        raise
    link.close()
    raise ValueError("not one of the workers")


def _name(plan: _Plan, index: int) -> str:
    if plan.is_local:
        return f"worker {index}"
    return f"worker {index} at {plan.workers.addresses[index]}"


def _beside(plan: _Plan, work: Callable[..., _T], arguments) -> _T:
    """Works as one of the others."""
    link = _to_chief(plan)
    with contextlib.closing(link):
        workers, place = plan.workers, _place(plan.workers)
        team = Team(workers.index, workers.count, [link], place)
        try:
            return work(team, *arguments)
        except InputError as error:
            with contextlib.suppress(LinkLostError):
                link.send(links.ERROR, str(error).encode())
                link.end()
            raise


def _to_chief(plan: _Plan) -> Link:
    end = time.monotonic() + plan.seconds
    while True:
        try:
            connection = socket.create_connection(plan.workers.address(0))
            link = Link(connection, _name(plan, 0))
            link.send(links.HELLO, f"{plan.workers.index} {plan.key}".encode())
            link.receive(links.WELCOME)
            return link
        except (OSError, LinkLostError) as error:
            # It listens again a moment after all have met.
            if plan.is_local or time.monotonic() > end:
                raise LinkLostError(_name(plan, 0)) from error
            time.sleep(_POLL_SECONDS)


def _place(workers: Workers) -> int:
    """Returns the number of this worker among those on its machine."""
    hosts = [workers.address(i)[0] for i in range(workers.count)]
    return hosts[: workers.index].count(hosts[workers.index])


def main() -> None:
    """Does, in a process of its own, what comes by the standard input."""
    end_process(_beside_parent())


def _beside_parent() -> int:
    plan, work, arguments = pickle.load(sys.stdin.buffer)
    try:
        _beside(plan, work, arguments)
    except PartDoneError:
        return 0
    except LinkLostError:
        return LOST_STATUS
    except InputError:
        # The chief says what is wrong.
        return 2
    except Exception:
        # Here and not by the interpreter, which then waits for all threads.
        traceback.print_exc()
        return 1
    return 0
