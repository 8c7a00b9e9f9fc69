"""Shows the page for the process that started this one.

Its options are a line of JSON on the standard input, which stays open as
long as that process lives.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading

from serving.ui.app import PageOptions, run_page


def main() -> None:
    """Runs until the standard input ends, or SIGTERM."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    values = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_at_end, daemon=True).start()
    values["labels"] = tuple(values["labels"])
    run_page(PageOptions(**values), listening)


def _stop_at_end() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
