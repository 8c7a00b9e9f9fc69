"""Mixed load while versions are swapped: nothing wrong, nothing dropped."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import grpc
import numpy as np
import psutil
import pytest

from serving.api import contract, protos
from serving.api.tensor_proto import to_proto
from serving.client.tag_client import TagClient
from tests.helpers.images import noise_image
from tests.helpers.waiting import LIMIT_S

PREDICT = f"/v1/models/{contract.MODEL_NAME}:predict"


@pytest.fixture(scope="module")
def two_exports(tagger, model_base, tmp_path_factory):
    """Folders of two versions whose answers differ."""
    from serving.saved_model.export import export_model

    other = dataclasses.replace(
        tagger,
        logits=lambda images: tagger.logits(images) * -2.0,
        weights_version="other",
    )
    base = tmp_path_factory.mktemp("other")
    return model_base / "1", export_model(other, base, top_k=3)


@contextmanager
def served(base):
    """`tagforest serve` as users run it: yields process and addresses."""
    command = [sys.executable, "-m", "tfx_pipeline.cli", "serve", str(base)]
    ports = ["--grpc-port", "0", "--rest-port", "0"]
    with subprocess.Popen(
        [*command, *ports], stdout=subprocess.PIPE, text=True
    ) as process:
        text = ""
        while "REST" not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        grpc_address = re.search(r"gRPC\s+(\S+)", text)[1]
        rest_address = re.search(r"http://([^/\s]+)", text)[1]
        try:
            yield psutil.Process(process.pid), grpc_address, rest_address
        finally:
            process.terminate()
            assert process.wait(LIMIT_S) == 0


class Load:
    """Threads that ask until they are stopped, and what came back."""

    def __init__(self):
        self.counts = Counter()
        self.wrong = []
        self._stop = threading.Event()
        self._threads = []

    def start(self, name, ask):
        def run():
            while not self._stop.is_set():
                try:
                    problem = ask()
                except Exception as error:
                    problem = repr(error)
                self.counts[name] += 1
                if problem:
                    self.wrong.append((name, problem))

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def start_load(load, grpc_address, rest_address, image, expected):
    def good(client):
        [found] = client.tag([image])
        if found not in expected:
            return f"wrong answer: {found}"

    def bad(client):
        found = client.tag([b"no image", image])
        if found[0].valid or found[1] not in expected:
            return f"wrong answer: {found}"

    for transport, address in (("grpc", grpc_address), ("rest", rest_address)):
        for kind in (good, bad):
            client = TagClient(address, transport)
            load.start(
                f"{kind.__name__} {transport}", lambda c=client, k=kind: k(c)
            )
    load.start("huge", lambda: ask_huge(rest_address))
    load.start("slow", lambda: ask_slowly(rest_address))
    options = [("grpc.enable_http_proxy", 0)]
    channel = grpc.insecure_channel(grpc_address, options=options)
    load.start("cancelled", lambda: ask_and_cancel(channel, image))


def ask_huge(address):
    """Declares 100 MB."""
    time.sleep(0.2)
    connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
    connection.putrequest("POST", PREDICT)
    connection.putheader("Content-Length", str(100 * 1024**2))
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return None if status == 413 else f"status {status}"


def ask_slowly(address):
    """Sends a body byte by byte over seconds, then the wrong end of it."""
    host, port = address.split(":")
    body = json.dumps({"instances": [{"b64": ""}]}).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=LIMIT_S) as link:
        link.sendall(head.encode())
        for value in body:
            link.sendall(bytes([value]))
            time.sleep(0.1)
        status = link.recv(64).split()[1]
    return None if status == b"200" else f"status {status}"


def ask_and_cancel(channel, image):
    """Sends a batch and gives it up at once."""
    request = protos.predict_pb2.PredictRequest()
    request.model_spec.name = contract.MODEL_NAME
    images = np.array([image] * 8, object)
    request.inputs[contract.IMAGE_BYTES].CopyFrom(to_proto(images))
    stub = protos.prediction_service_pb2_grpc.PredictionServiceStub(channel)
    call = stub.Predict.future(request)
    time.sleep(0.01)
    call.cancel()


def swap(base, source, version):
    """Publishes a version by one rename and removes the one before."""
    staging = base / ".staging"
    shutil.copytree(source, staging)
    os.rename(staging, base / str(version))


def wait_until_served(address, version):
    path = f"/v1/models/{contract.MODEL_NAME}/versions/{version}"
    for _ in range(1200):
        connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
        connection.request("GET", path)
        if b"AVAILABLE" in connection.getresponse().read():
            return
        time.sleep(0.1)
    raise TimeoutError(f"version {version} was not served")


def run_load(base, exports, swaps, seconds):
    image = noise_image(1)
    swap(base, exports[0], 1)
    with served(base) as (process, grpc_address, rest_address):
        load = Load()
        with TagClient(grpc_address) as client:
            expected = client.tag([image])
            swap(base, exports[1], 2)
            wait_until_served(rest_address, 2)
            expected += client.tag([image])
        assert expected[0] != expected[1]
        start_load(load, grpc_address, rest_address, image, expected)
        resident = []
        for number in range(swaps):
            end = time.monotonic() + seconds / swaps
            version = number + 3
            swap(base, exports[number % 2], version)
            wait_until_served(rest_address, version)
            shutil.rmtree(base / str(version - 1))
            time.sleep(max(0.0, end - time.monotonic()))
            resident.append(process.memory_info().rss)
        load.stop()
    assert load.wrong == []
    return load.counts, resident


@pytest.mark.large
@pytest.mark.timeout(1200)
def test_five_minutes_and_twenty_swaps(tmp_path, two_exports):
    counts, resident = run_load(tmp_path, two_exports, swaps=20, seconds=300)
    print(counts, [f"{value / 2**20:.0f}" for value in resident])
    assert len(counts) == 7
    # Every thread's heap fills once; after that nothing may be added.
    assert max(resident[15:]) < 1.05 * max(resident[:15])
