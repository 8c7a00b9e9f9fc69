"""Connections that other clients and proxies make, and slow ones."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import psutil
import pytest

from serving.api.server_options import ServerOptions
from serving.server import rest_protocol, rest_server
from serving.server.local_server import running_server
from tests.helpers.waiting import wait_until

PATIENCE_S = 1.0


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(rest_protocol, "PATIENCE_S", PATIENCE_S)


def connect(server):
    return socket.create_connection(("127.0.0.1", server.rest_port), 60)


def until_closed(connection) -> float:
    start = time.monotonic()
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - start


def ask(server, path="/v1/models/lists", method="GET", **arguments):
    url = f"http://{server.rest_address}{path}"
    return httpx.request(method, url, trust_env=False, timeout=60, **arguments)


BODY = json.dumps({"inputs": [1.0, 3.0]})
OFFERS = {
    "h2c": {
        "Connection": "Upgrade, HTTP2-Settings",
        "Upgrade": "h2c",
        "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA",
    },
    "websocket": {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    },
    "tls": {"Connection": "upgrade", "Upgrade": "TLS/1.0, HTTP/2.0"},
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_is_ignored(lists, offer, caplog):
    path = "/v1/models/lists:predict"
    with httpx.Client(trust_env=False, timeout=60) as client:
        url = f"http://{lists.rest_address}{path}"
        # Twice over one connection: what follows is no other protocol.
        for _ in range(2):
            reply = client.post(url, content=BODY, headers=offer)
            assert reply.status_code == 200, reply.text
            assert reply.json() == {"outputs": [0.25, 0.75]}
    assert ask(lists, headers=offer).status_code == 200
    assert not caplog.records


def test_an_offer_that_comes_in_pieces(lists):
    head = "".join(f"{k}: {v}\r\n" for k, v in OFFERS["h2c"].items())
    length = f"Content-Length: {len(BODY)}\r\n\r\n"
    request = HEAD + (head + length + BODY).encode()
    with connect(lists) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), 7):
            connection.sendall(request[start : start + 7])
            time.sleep(0.005)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        # The next two come at once.
        connection.sendall(request + request)
        answers = b""
        while answers.count(b"0.75") < 2:
            answers += connection.recv(1000)
        assert answers.count(b"HTTP/1.1 200") == 2


def test_this_is_no_proxy(lists):
    with connect(lists) as connection:
        connection.sendall(b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        assert until_closed(connection) < 30


def test_any_number_of_connections_may_be_open(lists):
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(connect(lists))
        for path in (
            "/v1/models/lists",
            "/livez",
            "/readyz",
            "/readyz?verbose",
        ):
            assert ask(lists, path).status_code == 200, path
        assert ask(lists, "/livez", "HEAD").status_code == 200
        assert ask(lists, "/readyz?a=b", "HEAD").content == b""


HEAD = b"POST /v1/models/lists:predict HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        HEAD + b"Content-Length: 100000\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
    ids=["silent", "slow head", "slow body", "slow chunks"],
)
def test_a_slow_connection_is_closed(lists, impatient, sent):
    with connect(lists) as connection:
        connection.sendall(sent)
        assert until_closed(connection) < 30


def test_a_slow_second_request_closes_it(lists, impatient):
    with connect(lists) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET ")
        assert until_closed(connection) < 30


def test_a_trickle_is_closed_too(lists, impatient):
    with connect(lists) as connection, pytest.raises(OSError):
        connection.sendall(HEAD)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            connection.sendall(b"X-A: b\r\n")
            time.sleep(0.1)


def test_a_body_that_comes_steadily_is_waited_for(lists, impatient):
    body = json.dumps({"inputs": [0.5, 0.5]}).encode().ljust(200_000)
    with connect(lists) as connection:
        connection.sendall(HEAD + b"Content-Length: 200000\r\n\r\n")
        # Three times as long as the patience, and fast enough.
        for start in range(0, len(body), 10_000):
            connection.sendall(body[start : start + 10_000])
            time.sleep(3 * PATIENCE_S / 20)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_an_answer_that_nobody_reads_is_given_up(lists, monkeypatch):
    monkeypatch.setattr(rest_protocol, "STALLED_S", 0.5)
    wanted = {"signature_name": "zeros", "inputs": [3_000_000]}
    body = json.dumps(wanted).encode()

    def is_open():
        return any(
            c.raddr and c.raddr.port == ours and c.status == "ESTABLISHED"
            for c in psutil.Process().net_connections("tcp")
        )

    with connect(lists) as connection:
        ours = connection.getsockname()[1]
        wait_until(is_open)
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        connection.sendall(HEAD + length + body)
        # The answer is larger than what the system keeps for a connection.
        wait_until(lambda: not is_open())
    assert ask(lists).status_code == 200


def test_requests_of_clients_that_hung_up_are_not_run(lists):
    slow = json.dumps({"signature_name": "slow", "inputs": [20.0]}).encode()
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(slow) + slow

    def one() -> float:
        start = time.monotonic()
        reply = ask(lists, "/v1/models/lists:predict", "POST", content=slow)
        assert reply.status_code == 200
        return time.monotonic() - start

    alone = max(one(), one())
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(connect(lists)).sendall(request)
        time.sleep(0.3)
    # All 60 would take thirty times as long on two cores.
    assert one() < 10 * alone + 1


def test_one_too_many_is_told_to_try_again(lists_base, monkeypatch):
    options = ServerOptions(
        name="lists", grpc_port=0, rest_port=0, most_requests=2
    )
    monkeypatch.setattr(rest_server, "_LAST_WORDS_S", 0)
    with running_server(lists_base, options) as server, ExitStack() as stack:
        for _ in range(2):
            waiting = stack.enter_context(connect(server))
            waiting.sendall(HEAD + b"Content-Length: 9\r\n\r\n")
        for _ in range(100):
            path = "/v1/models/lists:predict"
            reply = ask(server, path, "POST", content=BODY)
            if reply.status_code == 503:
                break
            time.sleep(0.02)
        assert reply.status_code == 503
        assert "2 requests wait: try again" in reply.json()["error"]
        for path in ("/readyz", "/v1/models/lists"):
            assert ask(server, path).status_code == 200


def test_replies_are_gzip_for_those_who_take_it(lists):
    def reply(coding):
        return ask(
            lists,
            "/v1/models/lists:predict",
            "POST",
            content=json.dumps({"inputs": [1.0] * 1000}),
            headers={"Accept-Encoding": coding},
        )

    plain = reply("identity")
    for coding in ("gzip", "br, GZIP ;q=0.5", "deflate,gzip"):
        zipped = reply(coding)
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.headers["vary"] == "accept-encoding"
        assert zipped.content == plain.content
        assert 10 * int(zipped.headers["content-length"]) < len(plain.content)
    for coding in ("gzip;q=0", "gzip; q=0.0", "br", ""):
        assert "content-encoding" not in reply(coding).headers


def test_nobody_is_cut_off_when_the_server_stops(lists_base):
    """16 clients ask without pause; what they get is an answer or a "no"."""
    options = ServerOptions(name="lists", grpc_port=0, rest_port=0)
    found, ended = set(), threading.Event()

    def client(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not ended.is_set():
            try:
                connection.request("POST", "/v1/models/lists:predict", BODY)
                reply = connection.getresponse()
                reply.read()
                found.add(reply.status)
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException) as error:
                found.add(repr(error))

    with ThreadPoolExecutor(16) as pool:
        with running_server(lists_base, options) as server:
            clients = [pool.submit(client, server.rest_port) for _ in range(16)]
            wait_until(lambda: found)
            server.drain()
            wait_until(lambda: ask(server, "/readyz").status_code == 503)
        ended.set()
        for done in clients:
            done.result(120)
    assert found <= {200, 503}
