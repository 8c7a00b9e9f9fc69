"""The page in a process of its own, beside the server that it asks.

Its memory and its Python threads stay away from those of the server, and
TensorFlow is never loaded there.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict

from serving.api.sockets import bind
from serving.ui.app import PageOptions, check_page

_STOP_S = 5.0


@contextmanager
def page_beside(
    host: str, port: int, labels: Sequence[str] = ()
) -> Iterator[Callable[..., str]]:
    """Takes the port of the page, and gives what starts it.

    The page ends with the block, or with this process.

    Args:
        port: 0 for any free one.

    Yields:
        start(model, server's `host:port` of gRPC, and of REST) -> URL of the
        page. Without the last it gives no curl commands.

    Raises:
        InputError: NiceGUI is missing, or the port is in use.
    """
    check_page(PageOptions())
    with ExitStack() as stack:
        listening = stack.enter_context(bind(host, port, "UI"))

        def start(model: str, server: str, rest: str = "") -> str:
            options = PageOptions(server, model, tuple(labels), host, rest)
            stack.enter_context(_process(options, listening))
            return f"http://{host}:{listening.getsockname()[1]}"

        yield start


@contextmanager
def _process(
    options: PageOptions, listening: socket.socket
) -> Iterator[subprocess.Popen]:
    # Who connects before the page is there waits for it.
    listening.listen()
    number = listening.fileno()
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.ui", str(number)],
        stdin=subprocess.PIPE,
        pass_fds=[number],
        # Interrupting in the terminal must not stop it before the server.
        start_new_session=True,
        text=True,
    )
    # Leaving closes its input, which ends it too, and waits for it.
    with process:
        print(json.dumps(asdict(options)), file=process.stdin, flush=True)
        yield process
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
