"""A disk that is full or may not be written, said in one line."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from beam_jobs.errors import JobFailedError

_DISK = {
    number: os.strerror(number)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
}


@contextlib.contextmanager
def disk_errors(out: str) -> Iterator[None]:
    """Makes one line of a disk that is full, or may not be written.

    Raises:
        JobFailedError: that is what stopped the job; a rerun starts anew.
    """
    try:
        yield
    except Exception as error:
        if said := of_disk(error):
            raise JobFailedError(
                f"{out}: {said}; once it can be written, the same command "
                "starts anew"
            ) from error
        raise


def of_disk(error: BaseException | None) -> str | None:
    """Returns what a disk said that is full or may not be written, if it did.

    Looks in the error and in those it came from.

    Example:
        >>> of_disk(OSError(28, "No space left on device", "a.h5"))
        'No space left on device'
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return _DISK[error.errno]
        # Beam hands on the text of an error, and not always its number.
        text = str(error)
        for said in _DISK.values():
            if said in text:
                return said
        error = error.__cause__ or error.__context__
    return None
