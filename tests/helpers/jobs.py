"""Jobs that can be killed, started by a process that has imported it all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Each job is a child in a process group of its own.
_STARTS = """
import json, os, sys
{setup}
for line in sys.stdin:
    given = json.loads(line)
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(job(given) or 0)
    print(child, flush=True)
    status = os.waitpid(child, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


class Jobs:
    """Starts jobs one after the other.

    Args:
        setup: code that imports what the jobs need and defines `job(given)`.
    """

    def __init__(self, setup: str):
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _STARTS.format(setup=setup)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self, given: Any) -> int:
        """Returns the id of the process, and of its group."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> int:
        """Waits for the job; returns its exit status, negative if killed."""
        return self._read()

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def starting(setup: str) -> Iterator[Jobs]:
    jobs = Jobs(setup)
    try:
        yield jobs
    finally:
        jobs.close()
