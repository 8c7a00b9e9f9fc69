"""`tagforest tag` against a running server."""

from __future__ import annotations

import json

import pytest

from beam_jobs.errors import InputError
from tests.helpers.commands import loaded_by, run
from tests.helpers.images import noise_image


@pytest.fixture
def images(tmp_path):
    good, bad = tmp_path / "good.jpg", tmp_path / "bad.jpg"
    good.write_bytes(noise_image(1))
    bad.write_bytes(b"broken")
    return good, bad


def test_tag_json(server, images):
    arguments = ["--server", server.grpc_address, "--format", "json"]
    done = run("tag", *images, *arguments, "--top", 2)
    good, bad = map(json.loads, done.stdout.splitlines())
    assert good["image"] == str(images[0])
    assert good["valid"] and len(good["tags"]) == 2
    assert good["error"] is None
    assert (bad["valid"], bad["tags"]) == (False, [])
    assert bad["error"] == "not_an_image: it starts with b'broken'"
    assert done.exit_code == 0
    assert done.stderr.startswith(
        "2 images = 1 tagged + 1 not (1 not_an_image); "
    )


def test_tag_table_over_rest(server, images):
    arguments = ["--server", server.rest_address, "--transport", "rest"]
    done = run("tag", *images, *arguments)
    assert "n02084071" in done.stdout
    assert "not_an_image" in done.stdout


def test_tag_csv_to_a_file(server, images, tmp_path):
    out = tmp_path / "tags.csv"
    arguments = ["--server", f"http://{server.rest_address}", "--top", 1]
    done = run(
        *("tag", *images, "--format", "csv", "--out", out, *arguments),
        "--progress",
    )
    assert done.stdout == ""
    assert "2/2" in done.stderr
    header, good, bad = out.read_text().splitlines()
    assert header.startswith("image,rank,name,wnid,score,")
    assert good.startswith(f"{images[0]},1,")
    assert bad.startswith(f"{images[1]},,,,,,,,not_an_image: ")
    done = run("tag", images[1], *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("1 image = 0 tagged + 1 not (1 not_an_image)")


def test_tag_standard_input(server, images, tmp_path):
    server_at = ["--server", server.grpc_address, "--format", "json"]

    def tag(given, *arguments):
        return run("tag", *arguments, *server_at, stdin=given)

    names = f"{images[0]}\r\n\n{images[1]}\n{tmp_path / 'none.jpg'}"
    found = [json.loads(line) for line in tag(names, "-").stdout.splitlines()]
    assert [f["image"][-8:] for f in found] == ["good.jpg", "/bad.jpg"] + [
        "none.jpg"
    ]
    assert [f["valid"] for f in found] == [True, False, False]
    piped = images[0].read_bytes()
    (only,) = tag(piped, "--stdin-image").stdout.splitlines()
    assert json.loads(only) == found[0] | {"image": "-"}
    mixed_up = tag(piped, "-")
    assert "--stdin-image takes an image" in str(mixed_up.exception)


def test_tag_goes_on_where_it_ended(server, images, tmp_path):
    out = tmp_path / "tags.json"
    told = ["--format", "json", "--out", out, "--resume"]
    told += ["--server", server.grpc_address]
    assert run("tag", *images, *told).exit_code == 0
    before = out.read_text().splitlines()
    second = tmp_path / "second.jpg"
    second.write_bytes(images[0].read_bytes())
    done = run("tag", *images, second, *told)
    assert done.stderr.startswith(
        "2 images = 1 tagged + 1 not (1 not_an_image); 1 were tagged before"
    )
    after = out.read_text().splitlines()
    assert sorted(after) == sorted(
        [*before, before[0].replace("good.jpg", "second.jpg")]
    )
    done = run("tag", images[0], *told)
    assert (done.exit_code, done.stderr[:9]) == (0, "0 images ")
    assert len(out.read_text().splitlines()) == 2


def test_tag_keeps_what_it_has_when_the_server_ends(
    server, images, tmp_path, monkeypatch
):
    from serving.api.prediction import ServerError
    from serving.client import grpc_client

    # Only the connection breaks: the server is for all tests.
    predict = grpc_client.GrpcTransport.predict
    asked = []

    def breaking(self, *arguments):
        asked.append(1)
        if len(asked) > 2:
            raise ServerError("UNAVAILABLE", "gone")
        return predict(self, *arguments)

    monkeypatch.setattr(grpc_client.GrpcTransport, "predict", breaking)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        path = folder / f"{number:03}.jpg"
        path.write_bytes(images[0].read_bytes())
    out = tmp_path / "tags.json"
    told = ["--server", server.grpc_address, "--parallel", 1]
    done = run("tag", folder, *told, "--format", "json", "--out", out)
    assert isinstance(done.exception, InputError)
    message = str(done.exception)
    assert "no more tags (UNAVAILABLE: gone) after 64 images = 64" in message
    assert f"kept in {out}.part, where --resume goes on" in message
    assert not out.exists()
    lines = (tmp_path / "tags.json.part").read_text().splitlines()
    assert json.loads(lines[63])["image"].endswith("063.jpg")
    assert len(lines) == 64


def test_tag_errors(tmp_path, images):
    missing = run("tag", tmp_path / "none.jpg")
    assert isinstance(missing.exception, InputError)
    assert "cannot read" in str(missing.exception)
    malformed = run("tag", images[0], "--server", "nowhere")
    assert "HOST:PORT" in str(malformed.exception)


def test_the_command_loads_nothing_heavy():
    heavy = ("tensorflow", "keras", "grpc", "numpy")
    assert loaded_by("import serving.client.cli", *heavy) == []
