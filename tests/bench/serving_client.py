"""The client of the serving benchmarks, in a process of its own.

In the server's process the two would wait for each other's interpreter lock.
Each line of standard input is a command with tabs between its parts, each line
of output its answer:

    once ARM            -> seconds of one call
    load ARM N SECONDS  -> images a second of N clients at once
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import numpy as np

from serving.api import contract, protos
from serving.api.tensor_proto import fill_proto
from serving.client.tag_client import TagClient

GRPC, REST, ECHO = "grpc", "rest", "echo"
TAG_GRPC, TAG_REST = "TagClient grpc", "TagClient rest"
ECHO_METHOD = "/echo/Echo"


def echo_call(address: str) -> Callable[[bytes], bytes]:
    """Returns a call that sends bytes and gets them back."""
    channel = grpc.insecure_channel(
        address, options=[("grpc.enable_http_proxy", 0)]
    )
    return channel.unary_unary(ECHO_METHOD)


def predict_call(address: str, image: bytes) -> Callable[[], object]:
    """Returns a call of the official stub with a message made before."""
    channel = grpc.insecure_channel(
        address, options=[("grpc.enable_http_proxy", 0)]
    )
    stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = contract.MODEL_NAME
    tensor = request.inputs[contract.IMAGE_BYTES]
    fill_proto(tensor, np.array([image], object))
    return lambda: stub.Predict(request)


def post_call(address: str, image: bytes) -> Callable[[], object]:
    """Returns a POST of a body made before, over one connection."""
    connection = http.client.HTTPConnection(address)
    row = {"b64": base64.b64encode(image).decode()}
    body = json.dumps({"instances": [row]})
    path = f"/v1/models/{contract.MODEL_NAME}:predict"

    def post() -> bytes:
        connection.request("POST", path, body)
        return connection.getresponse().read()

    return post


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
        return self._ask(f"once\t{arm}")

    def load(self, arm: str, clients: int, seconds: float) -> float:
        """Returns images a second of so many clients at once."""
        return self._ask(f"load\t{arm}\t{clients}\t{seconds}")

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
        GRPC: predict_call(grpc_address, image),
        REST: post_call(rest_address, image),
        TAG_GRPC: lambda: over_grpc.tag([image]),
        TAG_REST: lambda: over_rest.tag([image]),
    }
    for line in sys.stdin:
        command, arm, *numbers = line.rstrip().split("\t")
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
