"""A disk that is full while a training writes (no TensorFlow here)."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files.disk_errors import of_disk
from model import checkpoint_files

# Least that is asked for: what is written beside is small.
_LEAST = 100_000


@contextlib.contextmanager
def writing(workdir: Path, what: str, needed: int = 0) -> Iterator[None]:
    """Makes one line of a disk that cannot take what is written.

    Args:
        what: is written, for the message.
        needed: bytes of it. With less on the disk it is not begun: HDF5
            fails a second time as it closes a file, with hundreds of lines.

    Raises:
        InputError: the disk is full or may not be written.
    """
    try:
        if needed and shutil.disk_usage(workdir).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield
    except InputError:
        raise
    except Exception as error:
        if said := of_disk(error):
            raise InputError(_message(workdir, what, needed, said)) from error
        raise


def _message(workdir: Path, what: str, needed: int, said: str) -> str:
    found = checkpoint_files.latest_checkpoint(workdir, lambda line: None)
    good = (
        f"the last good checkpoint is {found.position}"
        if found
        else ("there is no checkpoint yet")
    )
    cure = "let it be written"
    if said == os.strerror(errno.ENOSPC):
        missing = max(needed - shutil.disk_usage(workdir).free, _LEAST)
        cure = f"free {missing / 1e6:.1f} MB"
    return (
        f"{workdir}: {said}: {what} is not written; {good}; {cure} and run "
        "the same command"
    )
