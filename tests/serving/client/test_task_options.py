"""`tagforest tag` against a detector and a segmenter, over both transports."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.drawn import Box, Segment
from serving.client.client_options import ClientOptions
from serving.client.tag_client import TagClient
from tests.helpers.commands import run
from tests.helpers.images import encode

DOG = {"name": "dog", "wnid": "n02084071"}


def picture() -> bytes:
    """Returns a PNG of 20 x 60: left red, right green; so it is both."""
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :45, 0] = 255
    pixels[:, 45:, 1] = 255
    return encode(pixels)


@pytest.fixture
def images(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    good.write_bytes(picture())
    bad.write_bytes(b"\xff\xd8\xffbroken")
    return good, bad


@pytest.fixture(params=["grpc", "rest"])
def address(task_server, request):
    if request.param == "grpc":
        return f"grpc://{task_server.grpc_address}"
    return f"http://{task_server.rest_address}"


def test_boxes_and_masks_over_both_transports(address):
    sent = [picture(), b"BMbroken", b"no image", picture()]
    with TagClient(address, options=ClientOptions("boxes")) as client:
        assert client.task() == contract.DETECT
        found = client.tag(sent)
    assert [f.valid for f in found] == [True, False, False, True]
    dog, cat = found[0].boxes
    assert dog == Box("dog", "n02084071", dog.score, 0, 0, 20, 30)
    assert cat == Box("cat", "n02121620", cat.score, 10, 0, 20, 60)
    assert dog.score == pytest.approx(0.75, abs=1e-3)
    assert cat.score == pytest.approx(0.25, abs=1e-3)
    assert found[3] == found[0] and found[0].model_version == "d1"
    assert found[1].boxes == ()

    with TagClient(address, options=ClientOptions("masks")) as client:
        assert client.task() == contract.SEGMENT
        good, bad = client.tag(sent[:2])
    assert good.segments == (
        Segment(1, "dog", "n02084071", 0.75),
        Segment(2, "cat", "n02121620", 0.25),
    )
    mask = np.asarray(Image.open(io.BytesIO(good.mask)))
    assert mask.tolist() == [[1] * 45 + [2] * 15] * 20
    assert (bad.valid, bad.segments, bad.mask) == (False, (), b"")


def test_a_tagger_is_one(server):
    with TagClient(server.grpc_address) as client:
        assert client.task() == contract.TAGS


def test_tag_prints_boxes(address, images):
    told = ("--server", address, "--name", "boxes")
    done = run("tag", *images, *told, "--format", "json")
    good, bad = map(json.loads, done.stdout.splitlines())
    assert [b["name"] for b in good["boxes"]] == ["dog", "cat"]
    sides = [good["boxes"][1][s] for s in ("ymin", "xmin", "ymax", "xmax")]
    assert sides == [10, 0, 20, 60]
    assert bad["boxes"] == [] and bad["error"].startswith("broken_image")
    assert done.stderr.startswith("2 images = 1 tagged + 1 not")

    done = run("tag", images[0], *told, "--min-confidence", 0.5)
    header, *_, only = done.stdout.splitlines()
    assert header.split()[1:] == [
        *("score", "ymin", "xmin", "ymax", "xmax", "wnid", "box")
    ]
    assert only.split()[-7:] == [
        *("0.750", "0.0", "0.0", "20.0", "30.0", "n02084071", "dog")
    ]
    # Of images alone that are not sent, the server says what they would be.
    images[1].write_bytes(b"")
    done = run("tag", images[1], *told, "--format", "csv")
    header, row = csv.reader(done.stdout.splitlines())
    assert "ymin" in header and len(row) == len(header)


def test_tag_writes_masks(address, images, tmp_path):
    told = ("--server", address, "--name", "masks", "--format", "json")
    folder = tmp_path / "masks"
    done = run("tag", *images, *told, "--masks", folder)
    good, bad = map(json.loads, done.stdout.splitlines())
    assert good["segments"][0] == {"id": 1, **DOG, "share": 0.75}
    assert bad["mask"] is None
    (file,) = folder.iterdir()
    assert good["mask"] == str(file) and file.name.startswith("good-")
    assert np.asarray(Image.open(file)).shape == (20, 60)
    done = run("tag", images[0], *told)
    assert json.loads(done.stdout)["mask"] is None


def refusal(*arguments) -> str:
    done = run("tag", *arguments)
    assert isinstance(done.exception, InputError) and done.stdout == ""
    return str(done.exception)


def test_options_that_the_model_does_not_take(task_server, server, images):
    def told(name):
        return images[0], "--server", task_server.grpc_address, "--name", name

    assert "finds boxes: of the options on tags it takes --top and " in refusal(
        *told("boxes"), "--include", "n02084071", "--min-confidence", "0.5"
    )
    assert "finds boxes" in refusal(*told("boxes"), "--sure")
    assert "makes masks: of the options on tags it takes --top alone" in (
        refusal(*told("masks"), "--min-confidence", "0.5")
    )
    assert "makes masks" in refusal(*told("masks"), "--leaves")
    masks = ("--masks", images[0].parent / "masks")
    assert "finds boxes" in refusal(*told("boxes"), *masks)
    assert "tags images" in refusal(
        images[0], "--server", server.grpc_address, *masks
    )
    file = ("--masks", images[0])
    assert "--masks: cannot write" in refusal(*told("masks"), *file)
