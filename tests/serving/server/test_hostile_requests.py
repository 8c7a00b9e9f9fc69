"""Hostile requests get the right class of error; the server stays healthy."""

from __future__ import annotations

import http.client
import itertools
import json

import grpc
import numpy as np
import psutil
import pytest

from serving.api import contract
from serving.client.tag_client import TagClient
from tests.helpers import hostile_requests
from tests.helpers.images import noise_image
from tests.helpers.waiting import LIMIT_S

FORMS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


@pytest.fixture(scope="module")
def healthy(server):
    """Asserts that a good request gets the same answer as ever."""
    image = noise_image(1)
    with TagClient(server.grpc_address) as client:
        [expected] = client.tag([image])
        yield lambda: client.tag([image]) == [expected]


def ask_rest(address, cases):
    connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
    for case in cases:
        connection.request(case.method, case.path, case.body, case.headers)
        response = connection.getresponse()
        body = response.read()
        assert response.status in case.statuses, (case, body[:300])
        if response.status != 200 and case.path.startswith("/v1/"):
            assert json.loads(body)["error"]
    connection.close()


def ask_grpc(address, cases):
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict"
        )
        for case in cases:
            try:
                call(case.message, timeout=LIMIT_S)
                code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                code = error.code()
            assert code in case.codes, case


def ask_images(address, rng, count):
    originals = [noise_image(seed, form=f) for seed in range(3) for f in FORMS]
    whole = noise_image(9)
    with TagClient(address) as client:
        for _ in range(count):
            chosen = rng.integers(0, len(originals), 31)
            batch = [
                hostile_requests.mutated(originals[i], rng) for i in chosen
            ]
            found = client.tag([*batch, whole])
            assert len(found) == 32 and found[-1].valid
            scores = [t.score for p in found for t in p.tags]
            assert np.isfinite(scores).all()


def run_all(server, seed, rest, messages, batches):
    rng = np.random.default_rng(seed)
    image = noise_image(1)
    cases = hostile_requests.rest_cases(rng, image)
    ask_rest(server.rest_address, itertools.islice(cases, rest))
    cases = hostile_requests.grpc_cases(rng, image)
    ask_grpc(server.grpc_address, itertools.islice(cases, messages))
    ask_images(server.grpc_address, rng, batches)


def test_a_few_hundred(server, healthy):
    run_all(server, 0, rest=300, messages=300, batches=5)
    assert healthy()


@pytest.mark.large
@pytest.mark.timeout(3600)
def test_twenty_thousand(server, healthy):
    process = psutil.Process()
    run_all(server, 1, rest=2000, messages=2000, batches=20)
    before = process.memory_info().rss
    run_all(server, 2, rest=9000, messages=9000, batches=40)
    assert healthy()
    assert process.memory_info().rss < 1.1 * before


def test_huge_bodies_are_refused_before_they_are_read(server, healthy):
    connection = http.client.HTTPConnection(
        server.rest_address, timeout=LIMIT_S
    )
    connection.putrequest("POST", hostile_requests.PREDICT)
    connection.putheader("Content-Length", str(100 * 1024**2))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert (
        str(contract.MAX_REQUEST_BYTES) in json.loads(response.read())["error"]
    )
    connection.close()
    assert healthy()
