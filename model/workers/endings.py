"""Ways for a worker to end before its time (no TensorFlow here)."""

from __future__ import annotations

import signal

# "Temporary failure, try again" of sysexits.h.
LOST_STATUS = 75


class StoppedError(SystemExit):
    """It was asked to stop, and has saved; the process should end.

    Args:
        number: of the signal. The exit status is 128 more: 143 for SIGTERM,
            130 for Ctrl-C.
    """

    def __init__(self, number: int):
        super().__init__(128 + number)


class WorkerLostError(SystemExit):
    """Another worker is gone; all have to start again. Exit status 75."""

    def __init__(self):
        super().__init__(LOST_STATUS)


class PartDoneError(SystemExit):
    """This worker is not the chief, which has ended well. Exit status 0."""

    def __init__(self):
        super().__init__(0)


def describe_status(status: int) -> str:
    """Returns what a process's return code means.

    Example:
        >>> describe_status(-9)
        'was killed by SIGKILL (often: no memory left)'
    """
    if status >= 0:
        return f"ended with status {status}"
    name = signal.Signals(-status).name
    hint = " (often: no memory left)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"


def is_stop(status: int | None) -> bool:
    """Returns whether a worker ended because it was asked to."""
    return status in (128 + signal.SIGTERM, 128 + signal.SIGINT)
