from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest

from beam_jobs.errors import InputError
from serving.api import protos
from serving.api.prediction import Prediction, Tag, to_prediction
from serving.api.tag_options import TagOptions
from serving.api.tensor_proto import to_proto
from serving.client import retries
from serving.client.batches import BatchLimits
from serving.client.client_options import ClientOptions, parse_server
from serving.client.load_images import LoadedImage
from serving.client.tag_client import ServerError, TagClient
from tests.helpers.images import noise_image
from tests.helpers.predictions import assert_alike


@pytest.fixture(params=["grpc", "rest"])
def client(request, server):
    addresses = {"grpc": server.grpc_address, "rest": server.rest_address}
    address = addresses[request.param]
    with TagClient(address, request.param) as client:
        yield client


def test_both_transports_give_the_same(server):
    images = [noise_image(1), b"broken", noise_image(2)]
    with TagClient(server.grpc_address) as grpc_client:
        over_grpc = grpc_client.tag(images)
    with TagClient(server.rest_address, "rest") as rest_client:
        over_rest = rest_client.tag(images)
    assert over_grpc == over_rest
    assert [p.valid for p in over_grpc] == [True, False, True]
    assert [len(p.tags) for p in over_grpc] == [3, 0, 3]


def wnids(prediction):
    return [tag.wnid for tag in prediction.tags]


def test_ids_of_no_class_of_the_model_are_told(client):
    known = wnids(client.tag([noise_image(1)])[0])
    asked = [known[0], "n99999999", known[-1], "own:no_such", "n99999999"]
    assert client.unknown_classes(asked) == ["n99999999", "own:no_such"]


def test_options(client):
    images = [noise_image(1), b"broken", noise_image(2)]
    everything = client.tag(images)
    low = TagOptions(min_confidence=0.0)
    # Another signature: another graph, whose sums may round otherwise.
    assert_alike(client.tag(images, low), everything)
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
        assert set(wnids(prediction)) == {"n00001740", "own:bar_of_soap"}
    only = TagOptions(min_confidence=0.0, include=("n02084071",))
    assert wnids(client.tag(images[:1], only)[0]) == ["n02084071"]
    likely = [
        replace(p, tags=tuple(t for t in p.tags if t.is_tag))
        for p in everything
    ]
    assert_alike(client.tag(images, TagOptions()), likely)


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


def test_batches_are_cut_and_keep_their_order(client):
    images = [noise_image(n) for n in range(8)]
    together = client.tag(images)
    client._limits = BatchLimits(images=3, size=5000)
    assert_alike(client.tag(images), together)
    assert client.tag([]) == []


def test_files_in_order_with_what_is_wrong(client, tmp_path):
    images = {f"{n:03}.jpg": noise_image(n) for n in range(70)}
    images["005.jpg"] = b"no image"
    images["006.jpg"] = b""
    images["007.jpg"] = noise_image(7)[:200]
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "notes.txt").write_text("no image, by its name")
    names = [tmp_path, "http://127.0.0.1:1/a.jpg", tmp_path / "none.jpg"]
    found = list(client.tag_files(names))
    assert [f.name for f in found] == [
        *(str(tmp_path / name) for name in images),
        "http://127.0.0.1:1/a.jpg",
        str(tmp_path / "none.jpg"),
    ]
    errors = {f.name[-7:]: f.reason for f in found if f.error}
    assert errors == {
        "005.jpg": "not_an_image",
        "006.jpg": "empty_file",
        "007.jpg": "broken_image",
        "1/a.jpg": "bad_url",
        "one.jpg": "unreadable_file",
    }
    good = [f for f in found if not f.error]
    data = [images[f.name[-7:]] for f in good]
    assert_alike([f.prediction for f in good], client.tag(data))


def test_what_was_named_already_is_skipped(client, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").write_bytes(noise_image(1))
    done = {str(tmp_path / "b.jpg")}
    found = client.tag_files([tmp_path], skip=done)
    assert [f.name[-5:] for f in found] == ["a.jpg", "c.jpg"]


def test_versions_and_labels(server, client):
    address, kind = client.address, client.kind
    newest = client.status()[0]
    assert (newest.state, newest.error) == ("AVAILABLE", "")
    pinned = ClientOptions(version=newest.version)
    with TagClient(address, kind, pinned) as other:
        assert other.tag([noise_image(1)]) == client.tag([noise_image(1)])
        assert other.status() == [newest]
    for wrong in (
        ClientOptions(version=newest.version + 1),
        ClientOptions(version_label="canary"),
    ):
        with TagClient(address, kind, wrong) as other:
            with pytest.raises(ServerError, match="canary|not found"):
                other.tag([noise_image(1)])


def test_a_url_says_the_transport(server):
    with TagClient(f"http://{server.rest_address}") as over_rest:
        with TagClient(f"grpc://{server.grpc_address}") as over_grpc:
            images = [noise_image(1)]
            assert over_rest.tag(images) == over_grpc.tag(images)
    assert (over_rest.kind, over_grpc.kind) == ("rest", "grpc")


def test_concurrent_requests_get_their_own_answers(client):
    images = [noise_image(n) for n in range(24)]
    alone = [client.tag([image])[0] for image in images]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda image: client.tag([image])[0], images))
    assert_alike(found, alone)


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
    monkeypatch.setattr(retries, "_BACKOFF_S", (0.001, 0.01))
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        with TagClient(address, transport) as client:
            with pytest.raises(ServerError) as caught:
                client.tag([b"a"])
    assert caught.value.code == "UNAVAILABLE"


class Busy(BaseHTTPRequestHandler):
    """Says 503, then 429; then that over two images are too many.

    Rows are not valid, and name the number of the request's images.
    """

    protocol_version = "HTTP/1.1"
    seen: list[int] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        images = json.loads(body)["instances"]
        status = {0: 503, 1: 429}.get(len(self.seen), 200)
        if status == 200 and len(images) > 2:
            status = 413
        self.seen.append(len(images))
        row = {"valid": False, "names": [], "wnids": [], "scores": []}
        row |= {"model_version": f"{len(images)}", "vocabulary_version": "v"}
        answer = json.dumps({"predictions": [row] * len(images)}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Prints nothing."""


def test_a_busy_server_is_asked_again_and_for_less():
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{busy.server_port}"
        with TagClient(address, "rest") as client:
            found = client.tag([b"a"] * 5)
            assert [p.model_version for p in found] == list("22221")
            # It remembers.
            assert len(client.tag([b"a"] * 4)) == 4
        busy.shutdown()
    assert Busy.seen == [5, 5, 5, 2, 2, 1, 2, 2]


class Echo(protos.prediction_service_pb2_grpc.PredictionServiceServicer):
    """Rows that are not valid; refuses no request for its size by itself."""

    def Predict(self, request, context):
        count = len(request.inputs["image_bytes"].string_val)
        reply = protos.predict_pb2.PredictResponse()
        reply.outputs["valid"].CopyFrom(to_proto(np.zeros(count, bool)))
        for name in ("model_version", "vocabulary_version"):
            texts = np.array([b"1"] * count, object)
            reply.outputs[name].CopyFrom(to_proto(texts))
        return reply


def test_messages_too_large_for_grpc_are_halved(tmp_path):
    limit = [("grpc.max_receive_message_length", 100_000)]
    server = grpc.server(ThreadPoolExecutor(4), options=limit)
    add = protos.prediction_service_pb2_grpc
    add.add_PredictionServiceServicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    small, large = b"BM" + b"a" * 30_000, b"BM" + b"a" * 200_000
    for number in range(12):
        data = large if number == 7 else small
        (tmp_path / f"{number:02}.bmp").write_bytes(data)
    with TagClient(f"127.0.0.1:{port}") as client:
        found = list(client.tag_files([tmp_path]))
        assert (
            client.tag([small] * 20) == [Prediction(False, (), "1", "1")] * 20
        )
        with pytest.raises(ServerError, match="larger than max"):
            client.tag([large])
    server.stop(None)
    reasons = [f.reason for f in found]
    assert reasons.pop(7) == "too_many_bytes"
    assert reasons == ["broken_image"] * 11
    assert "larger than max" in found[7].error


def test_the_rest_may_be_given_up(client):
    taken = []

    def items():
        for number in range(10_000):
            taken.append(number)
            yield LoadedImage(str(number), noise_image(1))

    client._limits = BatchLimits(images=1)
    found = client.tag_items(items())
    assert [next(found).name for _ in range(3)] == ["0", "1", "2"]
    found.close()
    # Some are loaded and some sent ahead, never all.
    assert len(taken) < 100
    assert len(client.tag([noise_image(1)])) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("localhost",),
        (":8500",),
        ("host:port",),
        ("a:1", "http"),
        ("ftp://a:1",),
        ("http://a",),
        ("http://a:1/x",),
        ("http://user:secret@a:1",),
        ("http://[a:1",),
        ("https://a:1",),
        ("http://a:1", "grpc"),
        ("grpc://a:1", "rest"),
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(InputError):
        TagClient(*arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout_s": 0.0},
        {"parallel": 0},
        {"version": -1},
        {"version": 1, "version_label": "stable"},
    ],
)
def test_wrong_client_options(wrong):
    with pytest.raises(InputError, match="received"):
        ClientOptions(**wrong)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None,), ("grpc", "127.0.0.1:8500")),
        ((None, "rest"), ("rest", "127.0.0.1:8501")),
        (("a:1",), ("grpc", "a:1")),
        (("[::1]:1", "rest"), ("rest", "[::1]:1")),
        (("HTTP://a:1/",), ("rest", "a:1")),
        (("grpcs://a:1", None, True), ("grpc", "a:1")),
    ],
)
def test_addresses(arguments, expected):
    assert parse_server(*arguments) == expected


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
