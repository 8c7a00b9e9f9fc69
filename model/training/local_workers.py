"""Several training processes on this machine (no TensorFlow here)."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.stop_signals import stop_signals_to
from model import workdir as files
from model.checkpoint_files import checkpoints
from model.workers import cluster
from model.workers.endings import (
    LOST_STATUS,
    StoppedError,
    describe_status,
    is_stop,
)

# What a worker process runs.
MODULE = "model.training.worker"

_POLL_SECONDS = 0.1
_TAIL_LINES = 15
# A worker that lost another one ends by itself in that time, or is killed.
_LOST_SECONDS = 1.0
# Time to save after SIGTERM: the step at hand, and the checkpoint.
_STOP_SECONDS = 120.0
THREADS = "TF_NUM_INTRAOP_THREADS"
_PARENT = "TAGFOREST_LAUNCHER"
_INDEX = "TAGFOREST_WORKER"


class WorkerFailure(Exception):
    """A worker ended though nobody asked it to."""


def launch(
    dataset: str,
    workdir: Path,
    count: int,
    max_restarts: int = 0,
    profile: tuple[int, int] | None = None,
) -> None:
    """Trains what `workdir/config.json` says with `count` workers.

    What the chief prints is shown; errors, and what the others print, go to
    `workers/worker-N.log`.

    Args:
        max_restarts: how often to start all of them again, from the last
            checkpoint, after one died.
        profile: first and last step to profile.

    Raises:
        InputError: a worker failed (all others are ended), or they ended
            with different weights.
        StoppedError: SIGTERM or Ctrl-C, to this process or to a worker.
    """
    arguments = [dataset, os.fspath(workdir)]
    if profile:
        arguments.append(f"{profile[0]},{profile[1]}")
    restarts = 0
    while True:
        try:
            _run(arguments, workdir, count)
            break
        except WorkerFailure as failure:
            if restarts == max_restarts:
                raise InputError(
                    f"{failure}\nthe same command goes on "
                    f"{_from_where(workdir)}; --max-restarts N does so by "
                    "itself"
                ) from None
            restarts += 1
            print(
                f"{failure}\nrestart {restarts} of {max_restarts}, "
                f"{_from_where(workdir)}",
                file=sys.stderr,
                flush=True,
            )
    if count > 1:
        check_equal_weights(workdir / files.WORKERS, count)


def check_equal_weights(folder: Path, count: int) -> str:
    """Returns the SHA-256 that all workers report.

    Raises:
        InputError: they differ, or a worker reports none.
    """
    digests = [
        files.read_json(folder / f"worker-{i}.json", {}).get("weights_sha256")
        for i in range(count)
    ]
    if None in digests or len(set(digests)) != 1:
        raise InputError(
            f"the {count} workers ended with different weights: {digests}; "
            f"their logs are in {folder}"
        )
    return str(digests[0])


def end_with_parent() -> None:
    """Lets this worker save and end if its launcher is no more."""
    parent = int(os.environ.get(_PARENT, "0"))
    if not parent:
        return

    def watch():
        # A killed launcher passes no signal on.
        while os.getppid() == parent:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_STOP_SECONDS)
        # A collective that waits for a dead worker never returns.
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def report_error(workdir: Path, message: str) -> None:
    """Leaves a worker's last words for its launcher."""
    index = os.environ.get(_INDEX)
    if index is not None:
        path = workdir / files.WORKERS / f"worker-{index}.error.json"
        files.write_json(path, {"error": message})


def _run(arguments: list[str], workdir: Path, count: int) -> None:
    """Starts all workers and waits until all have ended well."""
    folder = workdir / files.WORKERS
    folder.mkdir(parents=True, exist_ok=True)
    # An error of the run before would be taken for one of this.
    for old in folder.glob("worker-*"):
        old.unlink()
    addresses = [f"127.0.0.1:{port}" for port in cluster.free_ports(count)]
    workers: list[subprocess.Popen] = []
    with _passing_signals_on(workers):
        try:
            for index in range(count):
                workers.append(_start(arguments, workdir, addresses, index))
            _wait(workers, folder)
        finally:
            _kill(workers)


def _start(
    arguments: list[str], workdir: Path, addresses: list[str], index: int
) -> subprocess.Popen:
    environment = {
        **os.environ,
        THREADS: str(threads_of_each(len(addresses))),
        _PARENT: str(os.getpid()),
        _INDEX: str(index),
    }
    if len(addresses) > 1:
        environment["TF_CONFIG"] = cluster.tf_config(addresses, index)
    command = [sys.executable, "-m", MODULE, *arguments]
    log = workdir / files.WORKERS / f"worker-{index}.log"
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment,
            stdout=output if index else None,
            stderr=output,
            # Ctrl-C is for the launcher, which passes it on once.
            start_new_session=True,
        )


def threads_of_each(workers: int) -> int:
    """Returns the threads of a worker, one or more.

    TensorFlow would start as many as there are cores in each of them.
    """
    return max(len(os.sched_getaffinity(0)) // workers, 1)


@contextlib.contextmanager
def _passing_signals_on(workers: list[subprocess.Popen]) -> Iterator[None]:
    """Gives SIGTERM and Ctrl-C to the workers; the second time kills them."""
    asked: list[int] = []

    def pass_on(number, frame):
        asked.append(number)
        for worker in workers:
            if worker.poll() is None:
                worker.send_signal(number if len(asked) == 1 else 9)

    with contextlib.ExitStack() as stack:
        # Within a thread, as of a notebook, nobody asks by a signal.
        with contextlib.suppress(ValueError):
            stack.enter_context(stop_signals_to(pass_on))
        try:
            yield
        except WorkerFailure:
            # Whoever was not yet in its training ends without saving.
            if asked:
                raise StoppedError(asked[0]) from None
            raise


def _wait(workers: list[subprocess.Popen], folder: Path) -> None:
    # None is still running, 0 has ended well: any() stops at the first failure.
    while any(worker.poll() is None for worker in workers):
        if any(worker.poll() for worker in workers):
            break
        time.sleep(_POLL_SECONDS)
    # Who was asked to stop needs the others for the step at hand.
    if any(is_stop(worker.poll()) for worker in workers):
        _wait_for_all(workers, _STOP_SECONDS)
    elif any(worker.poll() for worker in workers):
        _wait_for_all(workers, _LOST_SECONDS)
    statuses = [worker.poll() for worker in workers]
    if any(statuses):
        _raise_for(statuses, folder)


def _wait_for_all(workers: list[subprocess.Popen], seconds: float) -> None:
    end = time.monotonic() + seconds
    for worker in workers:
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(timeout=max(end - time.monotonic(), 0.0))


def _raise_for(statuses: list[int | None], folder: Path) -> None:
    """Raises for the worker that failed first."""
    # A refusal of the input names the cause; the others ended because of it.
    for error in sorted(folder.glob("worker-*.error.json")):
        raise InputError(files.read_json(error, {})["error"])
    for status in statuses:
        if status is not None and is_stop(status):
            raise StoppedError(status - 128)
    # One that lost another is not the one to look at.
    failed = [(s == LOST_STATUS, i) for i, s in enumerate(statuses) if s]
    index = min(failed)[1]
    log = folder / f"worker-{index}.log"
    lines = log.read_text(errors="replace").splitlines()
    tail = "\n".join(lines[-_TAIL_LINES:])
    raise WorkerFailure(
        f"worker {index} of {len(statuses)} "
        f"{describe_status(statuses[index] or 0)}; its log is {log}"
        f"{':' if tail else ' (empty)'}\n{tail}".rstrip()
    )


def _from_where(workdir: Path) -> str:
    found = checkpoints(workdir)
    return f"from {found[-1].position}" if found else "from the beginning"


def _kill(workers: list[subprocess.Popen]) -> None:
    """Ends what still runs: without all others it can save nothing."""
    for worker in workers:
        if worker.poll() is None:
            worker.kill()
        worker.wait()
