"""The client of the serving benchmarks, in a process of its own.

In the server's process the two would wait for each other's interpreter lock.
Each line of standard input is a command, each line of output its answer:

    once ARM            -> seconds of one call
    load ARM N SECONDS  -> images a second of N clients at once
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc

from serving.client.tag_client import TagClient

GRPC, REST, ECHO = "grpc", "rest", "echo"
ECHO_METHOD = "/echo/Echo"


def echo_call(address: str) -> Callable[[bytes], bytes]:
    """Returns a call that sends bytes and gets them back."""
    channel = grpc.insecure_channel(
        address, options=[("grpc.enable_http_proxy", 0)]
    )
    return channel.unary_unary(ECHO_METHOD)


class ClientProcess(AbstractContextManager):
    """This module as a child process.

    Args:
        grpc_address, rest_address, echo_address: where to ask.
        image: the file that is sent.
    """

    def __init__(
        self,
        grpc_address: str,
        rest_address: str,
        echo_address: str,
        image: Path,
    ):
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                __spec__.name,
                grpc_address,
                rest_address,
                echo_address,
                str(image),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def once(self, arm: str) -> float:
        """Returns the seconds of one call."""
        return self._ask(f"once {arm}")

    def load(self, arm: str, clients: int, seconds: float) -> float:
        """Returns images a second of so many clients at once."""
        return self._ask(f"load {arm} {clients} {seconds}")

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(60)

    def _ask(self, line: str) -> float:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None:
            raise RuntimeError("the client has no pipes")
        to.write(line + "\n")
        to.flush()
        answer = back.readline()
        if not answer:
            raise RuntimeError("the client ended; see its messages above")
        return float(answer)


def main(arguments: list[str]) -> None:
    """Answers commands until standard input ends."""
    grpc_address, rest_address, echo_address, path = arguments
    image = Path(path).read_bytes()
    echo = echo_call(echo_address)
    over_grpc = TagClient(grpc_address, GRPC)
    over_rest = TagClient(rest_address, REST)
    arms: dict[str, Callable[[], object]] = {
        ECHO: lambda: echo(image),
        GRPC: lambda: over_grpc.tag([image]),
        REST: lambda: over_rest.tag([image]),
    }
    for line in sys.stdin:
        command, arm, *numbers = line.split()
        if command == "once":
            start = time.perf_counter()
            arms[arm]()
            print(time.perf_counter() - start, flush=True)
        else:
            clients, seconds = numbers
            print(rate(arms[arm], int(clients), float(seconds)), flush=True)


def rate(work: Callable[[], object], clients: int, seconds: float) -> float:
    """Returns calls a second; what is under way at the end counts in full."""
    start = time.perf_counter()
    done = [0] * clients

    def ask(number: int) -> None:
        while time.perf_counter() < start + seconds:
            work()
            done[number] += 1

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1:])
