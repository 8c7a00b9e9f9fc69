"""Workers meet before TensorFlow starts, and compare what they train.

TensorFlow would wait for the others for an hour, without a word and deaf to
signals. So each worker tells the chief, at the address where TensorFlow will
be, its number and what it is about to train; when all are there and agree, the
chief lets them go on, and the port is free again. The connections stay until
TensorFlow has made its own: who ends before that ends all.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beam_jobs.errors import InputError
from model import workdir as files
from model.workers.cluster import Workers
from model.workers.json_lines import NoLineError, receive, send
from model.workers.lifeline import holding_on
from model.workers.waiting import Wait

_POLL_SECONDS = 1.0
# To connect, and for a line that has begun.
_LINE_SECONDS = 5.0
_MARK = "meeting-"
# They ask each second, and may start a little later.
_TOLD_SECONDS = 10.0


class _NobodyError(Exception):
    """Who came to the chief's port is no worker."""


def connect(
    workers: Workers,
    plan: Mapping[str, str],
    seconds: float,
    workdir: Path | None = None,
) -> dict[int, socket.socket]:
    """Waits until all workers are there, with the same plan and workdir.

    Args:
        plan: what is done, by the words of an error: `{"data set": ...}`.
        seconds: longest wait.
        workdir: must be one folder for all.

    Returns:
        the chief's connections to the others, by their indices; of another
        worker to the chief alone.

    Raises:
        InputError: a plan or the workdir differs, two processes are the same
            worker, or this worker's port is taken.
        WorkerLostError: not all came in that time; who is missing is told.
    """
    wait = Wait(workers, time.monotonic() + seconds)
    with _listening(workers) as server:
        if workers.is_chief:
            with _marked(workdir) as mark:
                here = _gather(server, _Chief(plan, mark), wait)
                return {i: other.connection for i, other in here.items()}
    return {0: _join(plan, workdir, wait)}


@contextlib.contextmanager
def meeting(
    workers: Workers,
    plan: Mapping[str, str],
    seconds: float,
    workdir: Path | None = None,
) -> Iterator[None]:
    """Waits and raises as `connect` does.

    Within it they still hold on to each other, for as long as TensorFlow takes
    to start: it ends this process, with status 75, if another one ends.
    """
    if workers.count == 1:
        yield
        return
    others = connect(workers, plan, seconds, workdir)
    with holding_on({workers.name(i): c for i, c in others.items()}):
        yield


@contextlib.contextmanager
def refusals_told(workers: Workers) -> Iterator[None]:
    """Tells those who wait already why this worker will not come."""
    try:
        yield
    except InputError as error:
        name = "the chief" if workers.is_chief else f"worker {workers.index}"
        said = f"{name} does not start: {error}"
        # Its port may be what it is refused for, or nobody is there.
        with contextlib.suppress(InputError, OSError, NoLineError):
            if workers.count > 1 and workers.is_chief:
                _tell_all(workers, said)
            elif workers.count > 1:
                _tell_chief(workers, said)
        raise


def _tell_all(workers: Workers, said: str) -> None:
    with _listening(workers) as server:
        server.settimeout(_POLL_SECONDS)
        _tell_others(server, workers, set(), said)


def _tell_others(
    server: socket.socket, workers: Workers, told: set[int], said: str
) -> None:
    """Waits a little for those who were not told yet."""
    end = time.monotonic() + _TOLD_SECONDS
    while time.monotonic() < end and len(told) < workers.count - 1:
        with contextlib.suppress(_NobodyError, OSError):
            index, other = _accept(server, workers)
            with other.connection:
                send(other.connection, {"error": said})
            told.add(index)


def _tell_chief(workers: Workers, said: str) -> None:
    address = workers.address(0)
    with socket.create_connection(address, _TOLD_SECONDS) as connection:
        send(connection, {**_hello(workers, {}), "refusal": said})
        # Its answer is not lost by then.
        receive(connection)


@dataclass(frozen=True)
class _Chief:
    """What the others must have like the chief.

    Attributes:
        plan: what it trains.
        mark: name of a file in its workdir.
    """

    plan: Mapping[str, str]
    mark: str


@dataclass(frozen=True)
class _Other:
    """A worker that has come.

    Attributes:
        who: its host and process.
        refusal: why it will not go on.
    """

    who: str
    plan: Mapping[str, str]
    connection: socket.socket
    refusal: str = ""


@contextlib.contextmanager
def _listening(workers: Workers) -> Iterator[socket.socket]:
    """Takes this worker's port, if only to see that TensorFlow can."""
    _, port = workers.address(workers.index)
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        # Connections of an earlier run may still be closing there: it takes
        # the port all the same.
        server = socket.create_server(
            ("", port), family=family, dualstack_ipv6=both
        )
    except OSError as error:
        raise InputError(
            f"port {port} of worker {workers.index} cannot be used "
            f"({os.strerror(error.errno or 0)}): end what listens there, or "
            "name another port to all workers"
        ) from error
    with server:
        yield server


@contextlib.contextmanager
def _marked(workdir: Path | None) -> Iterator[str]:
    """Leaves a file for the others to see; a new name no disk has cached."""
    if workdir is None:
        yield ""
        return
    mark = workdir / files.WORKERS / f"{_MARK}{uuid.uuid4().hex}"
    mark.parent.mkdir(parents=True, exist_ok=True)
    # Of a chief that was killed.
    for old in mark.parent.glob(f"{_MARK}*"):
        old.unlink()
    mark.touch()
    try:
        yield mark.name
    finally:
        mark.unlink(missing_ok=True)


def _gather(
    server: socket.socket, chief: _Chief, wait: Wait
) -> dict[int, _Other]:
    """Returns all others, who have been told to go on."""
    server.settimeout(_POLL_SECONDS)
    here: dict[int, _Other] = {}
    try:
        # Who is gone since it came cannot say that it is ready.
        while (missing := _missing(here, wait.workers)) or not _ready(
            here, chief.mark
        ):
            if not missing:
                continue
            wait.go_on(wait.name(*missing))
            with contextlib.suppress(_NobodyError):
                _let_in(here, *_accept(server, wait.workers), chief)
    except InputError as error:
        _close(here)
        _tell_others(server, wait.workers, set(here), str(error))
        raise
    except BaseException:
        _close(here)
        raise
    for other in here.values():
        # One that is gone by now is missed at once, see `holding_on`.
        with contextlib.suppress(OSError):
            send(other.connection, {"go": True})
    # Once they go on: a chief that ends before is one that never came.
    print(
        f"all {wait.workers.count} workers are here",
        file=sys.stderr,
        flush=True,
    )
    return here


def _let_in(
    here: dict[int, _Other], index: int, other: _Other, chief: _Chief
) -> None:
    """Adds one that came, if it is the only one and has the same plan."""
    before = here.get(index)
    here[index] = other
    # One that was started again may be there before its end is noticed.
    if before and _ready({index: before}, chief.mark):
        with contextlib.suppress(OSError):
            send(before.connection, {"error": _twice(index, before, other)})
        _refuse(here, _twice(index, before, other))
    if other.refusal:
        _refuse(here, other.refusal)
    for what in sorted(chief.plan.keys() | other.plan.keys()):
        mine, theirs = chief.plan.get(what), other.plan.get(what)
        if mine != theirs:
            _refuse(
                here,
                f"worker {index} and the chief do not have the same {what}: "
                f"{theirs} and {mine}",
            )


def _twice(index: int, one: _Other, other: _Other) -> str:
    return (
        f"two processes are worker {index}: {one.who}, and {other.who}; give "
        "each its own --worker-index"
    )


def _ready(here: dict[int, _Other], mark: str) -> bool:
    """Asks each; forgets who does not answer.

    Raises:
        InputError: one does not see the chief's workdir.
    """
    answered = True
    for index, other in list(here.items()):
        try:
            send(other.connection, {"ready": mark})
            sees = receive(other.connection)["sees"]
        except (OSError, NoLineError, KeyError):
            here.pop(index).connection.close()
            answered = False
            continue
        if sees is not True:
            _refuse(
                here,
                f"worker {index} ({other.who}) does not see the chief's "
                f"--workdir in its own, {sees}: give all of them the same "
                "folder, on a disk that they share",
            )
    return answered


def _missing(here: dict[int, _Other], workers: Workers) -> list[int]:
    """Returns who is not there; forgets who went away again."""
    connections = [other.connection for other in here.values()]
    readable, _, _ = select.select(connections, [], [], 0)
    for index, other in list(here.items()):
        # Nobody says a second word unasked: it is the end of the connection.
        if other.connection in readable:
            here.pop(index).connection.close()
    return [i for i in range(1, workers.count) if i not in here]


def _accept(server: socket.socket, workers: Workers) -> tuple[int, _Other]:
    """Returns the next worker and its number.

    Raises:
        _NobodyError: nobody came for now, or it is not one of the workers.
    """
    try:
        connection, _ = server.accept()
    except OSError as error:
        raise _NobodyError from error
    try:
        connection.settimeout(_LINE_SECONDS)
        said = receive(connection)
        index, plan = int(said["index"]), dict(said["plan"])
        if 0 < index < workers.count:
            refusal = str(said.get("refusal", ""))
            return index, _Other(str(said["who"]), plan, connection, refusal)
    except (KeyError, TypeError, ValueError, OSError, NoLineError) as error:
        connection.close()
        raise _NobodyError from error
    connection.close()
    raise _NobodyError


def _refuse(here: Mapping[int, _Other], said: str) -> None:
    for other in here.values():
        with contextlib.suppress(OSError):
            send(other.connection, {"error": said})
    raise InputError(said)


def _close(others: Mapping[int, _Other]) -> None:
    for other in others.values():
        other.connection.close()


def _join(
    plan: Mapping[str, str], workdir: Path | None, wait: Wait
) -> socket.socket:
    """Returns the connection to the chief, who has said to go on."""
    while True:
        wait.go_on(wait.workers.name(0))
        connection = _ask_chief(plan, workdir, wait)
        if connection is not None:
            return connection
        time.sleep(_POLL_SECONDS)


def _ask_chief(
    plan: Mapping[str, str], workdir: Path | None, wait: Wait
) -> socket.socket | None:
    """Returns the connection; None if the chief is not there (any more)."""
    address = wait.workers.address(0)
    try:
        connection = socket.create_connection(address, _LINE_SECONDS)
    except OSError as error:
        wait.problem = error.strerror or str(error)
        return None
    wait.problem = ""
    with contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        # Whatever else comes is no word of a chief, or the end of it.
        stack.enter_context(contextlib.suppress(OSError, NoLineError))
        send(connection, _hello(wait.workers, plan))
        while "go" not in (said := _next_word(connection, wait)):
            if "error" in said:
                raise InputError(str(said["error"]))
            send(connection, {"sees": _sees(workdir, said.get("ready"))})
        stack.pop_all()
        return connection
    return None


def _sees(workdir: Path | None, mark: Any) -> bool | str:
    """Returns whether the chief's mark is there; where not, if it is not."""
    if workdir is None or (workdir / files.WORKERS / str(mark)).is_file():
        return True
    return os.path.abspath(workdir)


def _hello(workers: Workers, plan: Mapping[str, str]) -> dict[str, Any]:
    who = f"{socket.gethostname()}, process {os.getpid()}"
    return {"index": workers.index, "who": who, "plan": dict(plan)}


def _next_word(connection: socket.socket, wait: Wait) -> Mapping[str, Any]:
    while not select.select([connection], [], [], _POLL_SECONDS)[0]:
        wait.go_on(f"those whom {wait.workers.name(0)} waits for")
    return receive(connection)
