"""A web server on this machine that fails in every way a download meets."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import struct
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.helpers.images import noise_image

# Longer than any time-out of a test.
_LONG = 60.0
_PAGE = b"<!DOCTYPE html><html><body>Sorry, no picture here.</body></html>"


def bomb() -> bytes:
    """Returns a PNG of a few bytes that says it is 50,000 pixels a side."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", check)
        )

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    parts = (b"IHDR", header), (b"IDAT", body), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


class Server(ThreadingHTTPServer):
    """Answers `/<behaviour>/<number>` and counts the requests.

    Attributes:
        requests: times of the requests, seconds, by path.
        cookies: requests that brought a cookie.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, delay: float = 0.0):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: dict[str, list[float]] = defaultdict(list)
        self.cookies = 0
        self.delay = delay
        self.stopping = threading.Event()
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        """Returns the address of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def counts(self) -> Counter[str]:
        """Returns the number of requests by path, without the slash."""
        with self.lock:
            return Counter(
                {path[1:]: len(at) for path, at in self.requests.items()}
            )

    def handle_error(self, request, client_address) -> None:
        """Says nothing: clients that go away are part of the tests."""


@contextlib.contextmanager
def serving(delay: float = 0.0) -> Iterator[Server]:
    """Runs a server until the block ends.

    Args:
        delay: seconds before each answer.
    """
    server = Server(delay)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format, *args) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            times = self.server.requests[self.path]
            times.append(time.monotonic())
            self._attempt = len(times)
            self.server.cookies += "Cookie" in self.headers
        if self.server.delay:
            time.sleep(self.server.delay)
        behaviour, _, number = self.path[1:].partition("/")
        digits = filter(str.isdigit, number.partition("?")[0])
        self._number = int("".join(digits) or "0")
        getattr(self, "_do_" + behaviour)()

    def _send(
        self,
        data: bytes = b"",
        status: int = 200,
        length: int | None = None,
        kind: str = "image/jpeg",
        **headers: str,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is None or length >= 0:
            shown = len(data) if length is None else length
            self.send_header("Content-Length", str(shown))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _redirect(self, path: str) -> None:
        self._send(status=302, Location=path)

    def _wait(self) -> None:
        self.server.stopping.wait(_LONG)
        self.close_connection = True

    def _do_ok(self) -> None:
        self._send(noise_image(self._number), Set_Cookie="id=1")

    def _do_png(self) -> None:
        self._send(noise_image(self._number, form="PNG"), kind="text/html")

    def _do_same(self) -> None:
        self._send(noise_image(-1 + 10**6))

    def _do_packed(self) -> None:
        self._send(gzip.compress(noise_image(3)), Content_Encoding="gzip")

    def _do_packed_bomb(self) -> None:
        packed = gzip.compress(bytes(20_000_000))
        self._send(packed, Content_Encoding="gzip")

    def _do_slow(self) -> None:
        self._wait()

    def _do_hang(self) -> None:
        self._send(length=1000)
        self._wait()

    def _do_cut(self) -> None:
        data = noise_image(self._number)
        self._send(data[: len(data) // 2], length=len(data))
        self.close_connection = True

    def _do_cut_once(self) -> None:
        self._do_cut() if self._attempt == 1 else self._do_ok()

    def _do_long(self) -> None:
        data = noise_image(self._number)
        self._send(data, length=len(data) + 10)
        self.close_connection = True

    def _do_short(self) -> None:
        data = noise_image(self._number)
        self._send(data, length=len(data) - 100)
        self.close_connection = True

    def _do_chunks(self) -> None:
        self._send(length=-1, Transfer_Encoding="chunked")
        self.wfile.write(b"400\r\n" + noise_image(self._number)[:100])
        self.close_connection = True

    def _do_status(self) -> None:
        self._send(_PAGE, status=self._number, kind="text/html")

    def _do_busy(self) -> None:
        self._send(status=429)

    def _do_busy_once(self) -> None:
        if self._attempt == 1:
            self._send(status=429, Retry_After="1")
        else:
            self._do_ok()

    def _do_greedy(self) -> None:
        if self._attempt == 1:
            self._send(status=503, Retry_After="86400")
        else:
            self._do_ok()

    def _do_broken_once(self) -> None:
        self._send(status=500) if self._attempt == 1 else self._do_ok()

    def _do_loop(self) -> None:
        self._redirect(f"/loop/{self._number + 1}")

    def _do_moved(self) -> None:
        self._redirect(f"/ok/{self._number}")

    def _do_gone(self) -> None:
        self._redirect("/en-us/photo_unavailable_l.png")

    def _do_inside(self) -> None:
        self._redirect("http://169.254.169.254/latest/meta-data/")

    def _do_file(self) -> None:
        self._redirect("file:///etc/passwd")

    def _do_nowhere(self) -> None:
        self._send(status=302)

    def _do_page(self) -> None:
        self._send(_PAGE, kind="text/html")

    def _do_dressed(self) -> None:
        self._send(b"\xef\xbb\xbf\n " + _PAGE)

    def _do_xml(self) -> None:
        self._send(b"<?xml version='1.0'?><Error>AccessDenied</Error>")

    def _do_robots(self) -> None:
        said = ("noai", "googlebot: noindex", "nofollow, NoImageAI")
        self._send(noise_image(1), X_Robots_Tag=said[self._number])

    def _do_empty(self) -> None:
        self._send()

    def _do_huge(self) -> None:
        self._send(length=-1, Connection="close")
        self.close_connection = True
        with contextlib.suppress(OSError):
            while not self.server.stopping.is_set():
                self.wfile.write(bytes(1 << 16))

    def _do_announced(self) -> None:
        self._send(length=10**12)
        self._wait()

    def _do_bomb(self) -> None:
        self._send(bomb(), kind="image/png")

    def _do_truncated(self) -> None:
        self._send(noise_image(self._number)[:-200])

    def _do_tiny(self) -> None:
        self._send(noise_image(self._number, (4, 4)))

    def _do_pdf(self) -> None:
        self._send(b"%PDF-1.7\n" + os.urandom(200))

    def _do_reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    def _do_closes(self) -> None:
        if self._attempt == 1:
            self.close_connection = True
        else:
            self._do_ok()

    def _do_noise(self) -> None:
        self.wfile.write(b"\x00\x01\x02 this is not HTTP\r\n\r\n")
        self.close_connection = True
