"""One job at a time in a folder, whatever became of the one before."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from typing import IO

from beam_jobs.errors import InputError
from beam_jobs.files import storage

_LOCK = ".lock"
# Workers of a job that was killed notice it within a second or so.
_PATIENCE = 10.0
_PAUSE = 0.1


@contextlib.contextmanager
def lock_folder(folder: str, owner: str) -> Iterator[None]:
    """Holds a folder; the system lets go of it if the process dies.

    Args:
        folder: of this machine; it is made.
        owner: who holds it, unique in the folder; see `is_held`.

    Raises:
        InputError: another job holds it, or it cannot be written.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        file = open(os.path.join(folder, _LOCK), "a+")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror}"
        ) from error
    with file:
        _wait_for(file, f"{folder}: another job is at work in this folder")
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "owner": owner}))
        file.flush()
        yield


@contextlib.contextmanager
def hold_output(path: str) -> Iterator[None]:
    """Holds the output of a job by a lock file, which goes with the job.

    Args:
        path: of the lock file; object stores know no locks.

    Raises:
        InputError: another job holds it.
    """
    if storage.is_remote(path):
        yield
        return
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with _locked(path):
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.remove(path)


def _locked(path: str) -> IO:
    while True:
        file = open(path, "a+")
        if not _lock(file, fcntl.LOCK_EX):
            file.close()
            raise InputError(_busy(path))
        # The job before may have removed the file that was opened.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


def check_output_free(path: str) -> None:
    """Checks that no job holds the lock file of an output.

    Raises:
        InputError: one does.
    """
    if storage.is_remote(path) or not os.path.exists(path):
        return
    with open(path) as file:
        if not _lock(file, fcntl.LOCK_SH):
            raise InputError(_busy(path))


def _busy(path: str) -> str:
    return (
        f"another job writes this output (it holds {path}); wait for it or "
        "name another --out"
    )


def is_held(folder: str, owner: str) -> bool:
    """Tells a worker whether its job still holds the folder.

    A worker on another machine cannot tell, and is told so.
    """
    try:
        with open(os.path.join(folder, _LOCK)) as file:
            holder = json.loads(file.read() or "{}")
            if holder.get("host") != socket.gethostname():
                return True
            return holder.get("owner") == owner and not _lock(
                file, fcntl.LOCK_SH
            )
    except (OSError, ValueError):
        return True


def wait_for_writer(path: str) -> None:
    """Waits until no process that holds a file with `hold` is left.

    Raises:
        InputError: there still is one after 10 s.
    """
    with open(path, "ab") as file:
        _wait_for(file, f"{path}: a worker of an earlier job still writes it")


def hold(file: IO) -> None:
    """Marks an open file as being written until it is closed."""
    _lock(file, fcntl.LOCK_EX)


def _wait_for(file: IO, message: str) -> None:
    end = time.monotonic() + _PATIENCE
    while not _lock(file, fcntl.LOCK_EX):
        if time.monotonic() > end:
            raise InputError(f"{message}; end it, or wait for it")
        time.sleep(_PAUSE)


def _lock(file: IO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems know no locks: then there are none.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
