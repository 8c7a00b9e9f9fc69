"""Ours beside a plain Starlette app, LitServe and BentoML, on one SavedModel.

    python -m tests.bench.other_servers VERSION_DIR IMAGE LITSERVE BENTOML

The last two are the Pythons of environments with TensorFlow and that server.

Each is a process of its own, the client is this one. In turn, round by round:
one client, one request after the other (p50, p99), then 32 at once (images a
second). The foreign ones get the bytes as their guides have it; ours by gRPC
and, base64 in JSON, by REST.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tests.bench.serving_client import post_call, predict_call, rate

_HERE = Path(__file__).parent
_CLIENTS = 32
_LIMIT_S = 20
_SEPARATOR = "tagforest"
Call = Callable[[], object]


def _http(
    port: int, body: bytes, kind: str
) -> Callable[[], Callable[[], bytes]]:
    def connect() -> Callable[[], bytes]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=_LIMIT_S
        )

        def call() -> bytes:
            headers = {"Content-Type": kind}
            connection.request("POST", "/predict", body, headers)
            reply = connection.getresponse()
            data = reply.read()
            if reply.status != 200:
                raise RuntimeError(f"{port}: {reply.status} {data[:200]!r}")
            return data

        return call

    return connect


def _form(image: bytes) -> bytes:
    head = (
        f"--{_SEPARATOR}\r\nContent-Disposition: form-data; "
        'name="images"; filename="a.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    return head.encode() + image + f"\r\n--{_SEPARATOR}--\r\n".encode()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def _running(command: list[str], ports: list[int], version: Path) -> Iterator:
    env = {
        **os.environ,
        "TAGFOREST_VERSION": str(version.resolve()),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "1",
    }
    # Of a group: LitServe leaves its own processes behind.
    process = subprocess.Popen(
        command, cwd=_HERE, env=env, start_new_session=True
    )
    try:
        for port in ports:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    if process.poll() is not None:
                        raise RuntimeError(f"{command} ended") from None
                    time.sleep(0.2)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _first_answer(connect: Callable[[], Call]) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            connect()()
            return
        except (OSError, RuntimeError, http.client.HTTPException):
            if time.monotonic() > end:
                raise
            time.sleep(1)


def _load(connect: Callable[[], Call], seconds: float) -> float:
    calls = [connect() for _ in range(_CLIENTS)]
    free = list(calls)
    taken: dict[int, Call] = {}

    def work() -> object:
        me = threading.get_ident()
        call = taken.get(me) or taken.setdefault(me, free.pop())
        return call()

    return rate(work, _CLIENTS, seconds)


def _seconds(call: Call, count: int) -> list[float]:
    found = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return found


def main(
    version: Path,
    image: Path,
    litserve: Annotated[str, typer.Argument()] = "",
    bentoml: Annotated[str, typer.Argument()] = "",
    rounds: Annotated[int, typer.Option()] = 6,
    calls: Annotated[int, typer.Option()] = 60,
    load_s: Annotated[float, typer.Option()] = 4.0,
) -> None:
    """Prints a row for each server."""
    data = image.read_bytes()
    grpc_port, rest_port, plain = (_free_port() for _ in range(3))
    ours = [
        *(sys.executable, "-m", "tfx_pipeline.cli", "serve"),
        *(str(version.resolve().parent), "--grpc-port", str(grpc_port)),
        *("--rest-port", str(rest_port)),
    ]
    in_json = json.dumps({"image": base64.b64encode(data).decode()}).encode()
    form_kind = f"multipart/form-data; boundary={_SEPARATOR}"
    arms: dict[str, Callable[[], Call]] = {
        "ours, gRPC": lambda: predict_call(f"127.0.0.1:{grpc_port}", data),
        "ours, REST": lambda: post_call(f"127.0.0.1:{rest_port}", data),
        "Starlette": _http(plain, data, "image/jpeg"),
    }
    started = [
        (ours, [grpc_port, rest_port]),
        ([sys.executable, "starlette_app.py", str(plain)], [plain]),
    ]
    if litserve:
        port = _free_port()
        started.append(([litserve, "litserve_app.py", str(port)], [port]))
        arms["LitServe"] = _http(port, in_json, "application/json")
    if bentoml:
        port = _free_port()
        command = [bentoml, "-m", "bentoml", "serve", "bentoml_app:Tags"]
        started.append(([*command, "--port", str(port)], [port]))
        arms["BentoML"] = _http(port, _form(data), form_kind)
    with ExitStack() as stack:
        environ = os.environ
        environ["PYTHONPATH"] = str(_HERE.parents[2])
        for command, ports in started:
            stack.enter_context(_running(command, ports, version))
        for name, connect in arms.items():
            _first_answer(connect)
            print(f"{name} answers", file=sys.stderr, flush=True)
            _load(connect, 1)
        _compare(arms, rounds, calls, load_s)


def _compare(
    arms: dict[str, Callable[[], Call]], rounds: int, calls: int, load_s: float
) -> None:
    alone: dict[str, list[float]] = {name: [] for name in arms}
    loads: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(rounds):
        order = list(arms)
        random.Random(number).shuffle(order)
        for name in order:
            call = arms[name]()
            _seconds(call, 5)
            alone[name] += _seconds(call, calls)
            loads[name].append(_load(arms[name], load_s))
            print(number, name, loads[name], file=sys.stderr, flush=True)
    print("| server | p50 ms | p99 ms | 32 clients, images/s (range) |")
    print("|---|---|---|---|")
    for name in arms:
        times, rates = sorted(alone[name]), loads[name]
        middle = 1000 * times[len(times) // 2]
        last = 1000 * times[int(len(times) * 0.99)]
        print(
            f"| {name} | {middle:.1f} | {last:.1f} | "
            f"{statistics.median(rates):.1f} "
            f"({min(rates):.1f} to {max(rates):.1f}) |"
        )


if __name__ == "__main__":
    typer.run(main)
