"""Several training processes on this machine (no TensorFlow here)."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from beam_jobs.errors import InputError
from model import workdir as files

_POLL_SECONDS = 0.2
_TAIL_LINES = 15


def launch(
    dataset: str,
    workdir: Path,
    count: int,
    profile: tuple[int, int] | None = None,
) -> None:
    """Trains what `workdir/config.json` says with `count` workers.

    The chief's output is shown; all of it is in `workers/worker-N.log`.

    Args:
        dataset: data set folder.
        workdir: of the training.
        count: of the workers.
        profile: first and last step to profile.

    Raises:
        InputError: a worker failed (all others are ended), or they ended
            with different weights.
    """
    addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
    folder = workdir / files.WORKERS
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("worker-*"):
        old.unlink()
    arguments = [dataset, os.fspath(workdir)]
    if profile:
        arguments.append(f"{profile[0]},{profile[1]}")
    workers = []
    try:
        for index in range(count):
            workers.append(_start(arguments, workdir, addresses, index))
        _wait(workers, folder)
    finally:
        _end(workers)
    check_equal_weights(folder, count)


def free_ports(count: int) -> list[int]:
    """Returns different free loopback ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


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


def _start(
    arguments: list[str], workdir: Path, addresses: list[str], index: int
) -> subprocess.Popen:
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    cores = len(os.sched_getaffinity(0)) // len(addresses)
    environment = {
        **os.environ,
        "TF_CONFIG": json.dumps(config),
        "TF_NUM_INTRAOP_THREADS": str(max(cores, 1)),
    }
    command = [sys.executable, "-m", "model.train_worker", *arguments]
    log = workdir / files.WORKERS / f"worker-{index}.log"
    with log.open("wb") as output:
        if index:
            return subprocess.Popen(
                command, env=environment, stdout=output, stderr=output
            )
        return subprocess.Popen(command, env=environment, stderr=output)


def _wait(workers: list[subprocess.Popen], folder: Path) -> None:
    waiting = dict(enumerate(workers))
    while waiting:
        for index, worker in list(waiting.items()):
            status = worker.poll()
            if status is None:
                continue
            del waiting[index]
            if status:
                log = folder / f"worker-{index}.log"
                lines = log.read_text(errors="replace").splitlines()
                tail = "\n".join(lines[-_TAIL_LINES:])
                raise InputError(
                    f"worker {index} of {len(workers)} ended with status "
                    f"{status}; its log is {log}:\n{tail}"
                )
        time.sleep(_POLL_SECONDS)


def _end(workers: list[subprocess.Popen]) -> None:
    """Ends what still runs: asks first, then insists."""
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    for worker in workers:
        try:
            worker.wait(timeout=10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
