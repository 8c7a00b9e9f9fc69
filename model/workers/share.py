"""Shares a work between processes of this machine, or a cluster's hosts.

Each holds a link to the chief as long as the work lasts: who ends, ends all.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from beam_jobs.errors import InputError
from beam_jobs.files.tensorflow_files import end_process
from model.workers import cluster, rendezvous
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
# To end after its link did.
_END_SECONDS = 10.0


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
            `rendezvous.connect`.

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
        others = rendezvous.connect(workers, plan(), options.join_seconds)
        return _on_cluster(workers, others, work, arguments)
    if options.local_workers > 1:
        return _locally(options.local_workers, work, arguments)
    return work(Team(), *arguments)


def _on_cluster(
    workers: Workers,
    others: Mapping[int, socket.socket],
    work: Callable[..., _T],
    arguments: Sequence[Any],
) -> _T:
    links = [Link(others[i], workers.name(i)) for i in sorted(others)]
    place = _place(workers)
    team = Team(workers.index, workers.count, links, place)
    try:
        return _run(work, team, arguments)
    except PartDoneError:
        print(f"{workers.name(0)} has the result, with this worker's part")
        raise
    except LinkLostError as error:
        print(
            f"error: {error} is gone; nothing is written: start all again "
            "with the same command",
            file=sys.stderr,
        )
        raise WorkerLostError from error


def _locally(
    count: int, work: Callable[..., _T], arguments: Sequence[Any]
) -> _T:
    with contextlib.ExitStack() as stack:
        others, links = [], []
        for index in range(1, count):
            mine, theirs = socket.socketpair()
            links.append(Link(mine, f"worker {index}"))
            with theirs:
                told = (theirs.fileno(), index, count, work, arguments)
                others.append(_start(theirs, told))
            stack.callback(_end, others[-1])
        try:
            return _run(work, Team(0, count, links), arguments)
        except LinkLostError as error:
            raise InputError(_how_it_ended(others, error)) from error


def _run(work: Callable[..., _T], team: Team, arguments: Sequence[Any]) -> _T:
    """Does this worker's part; an error of one ends all, with its words."""
    with contextlib.closing(team):
        try:
            result = work(team, *arguments)
        except InputError as error:
            team.end(error)
            raise
        team.end()
        return result


def _start(connection: socket.socket, told: Sequence[Any]) -> subprocess.Popen:
    # A file without a name, which only the two can read. The processes of
    # `multiprocessing` pickle too, and run the caller's script once more.
    with tempfile.TemporaryFile() as file:
        pickle.dump(told, file)
        file.seek(0)
        return subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import main; main()"],
            stdin=file,
            stdout=subprocess.DEVNULL,
            pass_fds=[connection.fileno()],
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


def _place(workers: Workers) -> int:
    """Returns the number of this worker among those on its machine."""
    hosts = [workers.address(i)[0] for i in range(workers.count)]
    return hosts[: workers.index].count(hosts[workers.index])


def main() -> None:
    """Does, in a process of its own, what comes by the standard input."""
    end_process(_beside_parent())


def _beside_parent() -> int:
    connection, index, count, work, arguments = pickle.load(sys.stdin.buffer)
    link = Link(socket.socket(fileno=connection), "worker 0")
    try:
        _run(work, Team(index, count, [link], index), arguments)
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
