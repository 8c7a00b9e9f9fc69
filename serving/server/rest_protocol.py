"""HTTP/1.1 of the REST server: uvicorn's, with an end to slow connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The first line and the headers of a request come within it, and of its body
# so many bytes in each.
PATIENCE_S = 10.0
LEAST_BYTES = 10_000
# An answer that nobody reads is given up after it.
STALLED_S = 30.0
# What an offer to speak another protocol consists of.
_OFFER = (b"upgrade", b"http2-settings")


class RestProtocol(HttpToolsProtocol):
    """One connection.

    Where a client offers another protocol, as Java's does with each request,
    httptools takes the body for that protocol's. An offer may be ignored
    (https://www.rfc-editor.org/rfc/rfc9110#section-7.8), and so such a request
    is read once more, without the offer.
    """

    _timer: asyncio.TimerHandle | None = None
    _watched: object = None
    _bytes = 0

    def connection_made(self, transport) -> None:
        """Waits for a request, but not without end."""
        super().connection_made(transport)
        self._start(PATIENCE_S, self._tick)

    def data_received(self, data: bytes) -> None:
        """Reads what came, and goes on waiting if it is no whole request."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._read_without_offer(data[offer.args[0] :])
            return
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
            return
        self._bytes += len(data)
        if self._answers and not self.cycle.more_body:
            self._stop()
        # Else it would be put off by every byte.
        elif self._timer is None or self._watched is not self.cycle:
            self._bytes = 0
            self._start(PATIENCE_S, self._tick)
        self._watched = self.cycle

    def on_headers_complete(self) -> None:
        """Answers the request, if it is not to be read once more."""
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Ends the body, if it is none of another protocol."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _read_without_offer(self, rest: bytes) -> None:
        method = self.parser.get_method()
        if method == b"CONNECT":  # To a third server; we are no proxy.
            self.send_400_response("Invalid HTTP request received.")
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                named = [token.strip() for token in value.split(b",")]
                kept = [t for t in named if t.lower() not in _OFFER]
                value = b", ".join(kept) or b"keep-alive"
            if name not in _OFFER:
                lines.append(b"%s: %s" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops all timers."""
        self._stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read: for a while that is borne."""
        super().pause_writing()
        self._start(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._stop()

    def shutdown(self) -> None:
        """Closes an idle connection; a new one has its request answered."""
        # uvicorn would close it: with bytes on their way, that is a reset.
        if self.cycle is not None:
            super().shutdown()

    @property
    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _tick(self) -> None:
        if self._answers and self._bytes >= LEAST_BYTES:
            self._bytes = 0
            self._start(PATIENCE_S, self._tick)
        else:
            self.transport.abort()

    def _start(self, seconds: float, end: Callable[[], object]) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds, end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
