"""Workers that start notice at once if another one ends (no TensorFlow here).

TensorFlow takes seconds to load, and waits long for who does not come.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import threading
from collections.abc import Iterator, Mapping

from beam_jobs.files.tensorflow_files import end_process
from model.workers.endings import LOST_STATUS

_POLL_SECONDS = 0.1
_BEGUN = b"begun"


@contextlib.contextmanager
def holding_on(others: Mapping[str, socket.socket]) -> Iterator[None]:
    """Ends this process, with status 75, if another one ends meanwhile.

    Args:
        others: connections to them, by their names; they are closed.
    """
    begun = threading.Event()
    watch = threading.Thread(target=_watch, args=(others, begun), daemon=True)
    watch.start()
    try:
        yield
        # From here on an end is noticed by what has begun; and who is through
        # may have closed the connection, which would look like its end.
        begun.set()
        for connection in others.values():
            with contextlib.suppress(OSError):
                connection.sendall(_BEGUN)
    finally:
        begun.set()
        watch.join()
        for connection in others.values():
            connection.close()


def _watch(others: Mapping[str, socket.socket], begun: threading.Event) -> None:
    left = {connection: name for name, connection in others.items()}
    while left and not begun.is_set():
        for connection in select.select([*left], [], [], _POLL_SECONDS)[0]:
            name = left.pop(connection)
            # Who has begun has found all others, and may close it.
            if not _says_begun(connection) and not begun.is_set():
                print(
                    f"error: {name} ended as all were starting; start all "
                    "again with the same command",
                    file=sys.stderr,
                )
                end_process(LOST_STATUS)


def _says_begun(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(len(_BEGUN)))
    except OSError:
        return False
