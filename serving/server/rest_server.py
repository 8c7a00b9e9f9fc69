"""The REST side of the server: its port, its thread, its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import uvicorn

from beam_jobs.errors import InputError
from serving.api.server_options import ServerOptions
from serving.api.sockets import bind, stop_connecting
from serving.server.model_registry import ModelRegistry
from serving.server.request_metrics import RequestMetrics
from serving.server.rest_app import RestApp
from serving.server.rest_protocol import RestProtocol
from serving.server.tls import LiveTls

# While a server closes, clients that ask without pause are told so.
_LAST_WORDS_S = 0.3
_ACCEPTING_S = 0.05
# Of a turn of the event loop, at most.
_TURN_S = 5.0


def _context_of(tls: LiveTls | None) -> Callable | None:
    return None if tls is None else lambda *_: tls.context()


class RestServer:
    """The REST side of the server, bound but not yet answering.

    Raises:
        InputError: the port is in use.
    """

    def __init__(
        self,
        versions: ModelRegistry,
        metrics: RequestMetrics,
        options: ServerOptions,
        tls: LiveTls | None = None,
    ):
        self._app = RestApp(versions, metrics, options)
        self._socket = bind(options.host, options.rest_port, "REST")
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            # Not whichever happens to be installed: one behaviour everywhere.
            loop="uvloop",
            http=RestProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            timeout_keep_alive=60,
            ssl_context_factory=_context_of(tls),
        )
        self._server = uvicorn.Server(config)
        found = self._server.server_state.connections
        metrics.connections["REST"] = lambda: len(found)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def start(self) -> None:
        """Answers from now on."""
        self._thread.start()
        while not self._server.started:  # uvicorn has no event for it.
            if not self._thread.is_alive():
                raise InputError("the REST server did not start")
            time.sleep(0.01)

    def drain(self) -> None:
        """Answers on, but `/readyz` says no, and connections are not kept."""
        self._app.is_draining = True

    def stop(self, grace_s: float) -> None:
        """Refuses requests, lets those that run finish, closes the port."""
        self._app.is_draining = self._app.is_closed = True
        if self._thread.is_alive():
            end = time.monotonic() + grace_s
            # A connection that is closed while a request comes is reset, so
            # first those that ask without pause are answered "no".
            time.sleep(_LAST_WORDS_S)
            while self._app.running and time.monotonic() < end:
                time.sleep(0.01)
            # Those that have connected and not asked yet are answered, too.
            stop_connecting(self._socket)
            time.sleep(_ACCEPTING_S)
            self._turn_round()
            # What still runs has had its grace; uvicorn takes whole seconds.
            self._server.config.timeout_graceful_shutdown = 1
            self._server.should_exit = True
            self._thread.join()
        self._socket.close()

    def _turn_round(self) -> None:
        """Lets the event loop take what lies before it, however busy it is."""
        loop = self._server.servers[0].get_loop()
        # It wakes for the first while it accepts, and asks again before the
        # next.
        for _ in range(3):
            done = threading.Event()
            loop.call_soon_threadsafe(done.set)
            done.wait(_TURN_S)
