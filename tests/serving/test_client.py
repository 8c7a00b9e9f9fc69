from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from beam_jobs.errors import InputError
from serving.client import back_off
from serving.client import tag_client as client_module
from serving.client.tag_client import ClientOptions, ServerError, TagClient
from serving.prediction import Prediction, Tag, to_prediction
from serving.tag_options import TagOptions


@pytest.fixture(params=["grpc", "rest"])
def client(request, server):
    addresses = {"grpc": server.grpc_address, "rest": server.rest_address}
    address = addresses[request.param]
    with TagClient(address, request.param) as client:
        yield client


def test_both_transports_give_the_same(server, picture):
    images = [picture(1), b"broken", picture(2)]
    with TagClient(server.grpc_address) as grpc_client:
        over_grpc = grpc_client.tag(images)
    with TagClient(server.rest_address, "rest") as rest_client:
        over_rest = rest_client.tag(images)
    assert over_grpc == over_rest
    assert [p.valid for p in over_grpc] == [True, False, True]
    assert [len(p.tags) for p in over_grpc] == [3, 0, 3]


def wnids(prediction):
    return [tag.wnid for tag in prediction.tags]


def test_options(client, picture):
    images = [picture(1), b"broken", picture(2)]
    everything = client.tag(images)
    low = TagOptions(min_confidence=0.0)
    assert [p.tags for p in client.tag(images, low)] == [
        p.tags for p in everything
    ]
    best = [wnids(p)[:1] for p in everything]
    one = TagOptions(max_labels=1, min_confidence=0.0)
    assert [wnids(p) for p in client.tag(images, one)] == best
    # All but the first class are below it.
    leaves = TagOptions(min_confidence=0.0, most_specific=True)
    found = client.tag(images, leaves)
    assert all("n00001740" not in wnids(p) for p in found)
    assert [len(p.tags) for p in found] == [3, 0, 3]
    without = TagOptions(min_confidence=0.0, exclude=("n02084071", "n02121620"))
    for prediction in client.tag(images[::2], without):
        assert set(wnids(prediction)) == {"n00001740", "n04257986"}
    only = TagOptions(min_confidence=0.0, include=("n02084071",))
    assert wnids(client.tag(images[:1], only)[0]) == ["n02084071"]
    sure = client.tag(images, TagOptions())
    for some, every in zip(sure, everything, strict=True):
        assert some.tags == tuple(t for t in every.tags if t.is_tag)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_labels": 0},
        {"min_confidence": 1.5},
        {"include": ["dog"]},
        {"exclude": ["n02084071"] * 65},
    ],
)
def test_wrong_options(wrong):
    with pytest.raises(InputError, match="received"):
        TagOptions(**wrong)


def test_batches_are_cut_and_keep_their_order(client, picture, monkeypatch):
    monkeypatch.setattr(client_module, "_CHUNK_BYTES", 5000)
    monkeypatch.setattr(client_module, "_CHUNK_IMAGES", 3)
    images = [picture(n) for n in range(8)]
    together = client.tag(images)
    monkeypatch.undo()
    assert together == client.tag(images)
    assert client.tag([]) == []


def test_chunks():
    images = [b"a" * 6, b"b" * 6, b"c" * 30, b"d"]
    cut = client_module._chunks
    assert [len(c) for c in cut([b""] * 130)] == [64, 64, 2]
    assert list(cut(images)) == [images]
    huge = b"x" * (client_module.contract.MAX_IMAGE_BYTES + 1)
    assert list(cut([huge, b"a"])) == [[b"", b"a"]]
    half = b"x" * (9 * 1024**2)
    assert [len(c) for c in cut([half, half, b"a"])] == [1, 2]


def test_concurrent_requests_get_their_own_answers(client, picture):
    images = [picture(n) for n in range(24)]
    alone = [client.tag([image])[0] for image in images]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: client.tag([image])[0], images))
    for got, expected in zip(found, alone, strict=True):
        assert [t.wnid for t in got.tags] == [t.wnid for t in expected.tags]
        assert [t.score for t in got.tags] == pytest.approx(
            [t.score for t in expected.tags], abs=1e-6
        )


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_unknown_model(server, transport):
    addresses = {"grpc": server.grpc_address, "rest": server.rest_address}
    with TagClient(
        addresses[transport], transport, ClientOptions(model="x")
    ) as client:
        with pytest.raises(ServerError, match="Servable not found") as caught:
            client.tag([b"a"])
    assert caught.value.code in ("NOT_FOUND", "404")


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_nobody_there(transport, monkeypatch):
    monkeypatch.setattr(back_off, "_BACKOFF_S", (0.001, 0.01))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with TagClient(address, transport) as client:
            with pytest.raises(ServerError) as caught:
                client.tag([b"a"])
    assert caught.value.code == "UNAVAILABLE"


class Busy(BaseHTTPRequestHandler):
    """Answers 503 twice, then one row that is not valid."""

    protocol_version = "HTTP/1.1"
    seen = 0

    def do_POST(self):
        Busy.seen += 1
        self.rfile.read(int(self.headers["content-length"]))
        row = {"valid": False, "names": [], "wnids": [], "scores": []}
        row |= {"model_version": "m", "vocabulary_version": "v"}
        body = json.dumps({"predictions": [row]}).encode()
        self.send_response(200 if Busy.seen > 2 else 503)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Prints nothing."""


def test_a_busy_server_is_asked_again():
    with HTTPServer(("127.0.0.1", 0), Busy) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{busy.server_port}"
        with TagClient(address, "rest") as client:
            assert client.tag([b"a"]) == [Prediction(False, (), "m", "v")]
        busy.shutdown()
    assert Busy.seen == 3


@pytest.mark.parametrize(
    "arguments",
    [("localhost",), (":8500",), ("host:port",), ("a:1", "http")],
)
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match="received"):
        TagClient(*arguments)


def test_prediction():
    row = {
        "valid": True,
        "names": ["animal", "dog"],
        "wnids": ["n00015388", "n02084071"],
        "leaf": [False, True],
        "is_tag": [True, False],
        "parents": ["", "n00015388,n00001740"],
        "model_version": "m",
        "vocabulary_version": "v",
    }
    found = to_prediction(row | {"scores": [0.2, 0.1]})
    animal = Tag("animal", "n00015388", 0.2, leaf=False)
    above = ("n00015388", "n00001740")
    dog = Tag("dog", "n02084071", 0.1, is_tag=False, parents=above)
    assert found == Prediction(True, (animal, dog), "m", "v")
    assert found.top(1).tags == (animal,)
    assert found.leaves().tags == (dog,)
    assert found.leaves().to_json() == {
        "valid": True,
        "tags": (
            {
                "name": "dog",
                "wnid": "n02084071",
                "score": 0.1,
                "leaf": True,
                "is_tag": False,
                "parents": above,
            },
        ),
        "model_version": "m",
        "vocabulary_version": "v",
    }
    invalid = to_prediction(row | {"valid": False, "scores": [0.0]})
    assert invalid == Prediction(False, (), "m", "v")
