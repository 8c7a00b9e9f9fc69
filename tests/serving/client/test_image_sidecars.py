"""`tagforest tag --xmp` against a running server."""

from __future__ import annotations

import json

import pytest
from lxml import etree

from tests.helpers.commands import run
from tests.helpers.images import noise_image

BOMB = b'<!DOCTYPE x [<!ENTITY a "aa">]><x>&a;</x>'


@pytest.fixture(name="photos")
def fixture_photos(tmp_path):
    for seed, name in enumerate(("a.jpg", "b.jpg", "c.png")):
        form = "PNG" if name.endswith("png") else "JPEG"
        (tmp_path / name).write_bytes(noise_image(seed, form=form))
    return tmp_path


def listed(path, name: str) -> list[str]:
    items = etree.parse(path).iterfind(f".//{{*}}{name}/*/{{*}}li")
    return [item.text for item in items]


def tag(server, *arguments):
    return run("tag", *arguments, "--server", server.grpc_address, "--xmp")


def test_tags_lie_beside_the_images(server, photos):
    before = {p.name: p.read_bytes() for p in photos.iterdir()}
    all_leaves = ["--min-confidence", 0, "--most-specific"]
    done = tag(server, photos, *all_leaves, "--xmp-names", "full")
    assert done.exit_code == 0, done.exception
    found = photos / "a.jpg.xmp"
    assert sorted(listed(found, "subject")) == ["cat", "dog", "soap"]
    # What is above was no tag: the server was asked for it.
    paths = sorted(listed(found, "hierarchicalSubject"))
    assert paths == ["entity|cat", "entity|dog", "entity|soap"]
    assert {n: (photos / n).read_bytes() for n in before} == before
    # Two more words, once more: the sidecar has those of the last run.
    done = tag(
        *(server, photos / "a.jpg", "--min-confidence", 0),
        *("--include", "own:bar_of_soap", "--xmp-names", "full"),
    )
    assert done.exit_code == 0, done.exception
    assert listed(found, "TagsList") == ["entity/soap"]


def test_a_hostile_sidecar_is_counted(server, photos):
    (photos / "a.xmp").write_bytes(BOMB)
    told = ["--format", "json", "--min-confidence", 0]
    done = tag(server, photos, *told)
    first, second, _ = map(json.loads, done.stdout.splitlines())
    assert first["error"].startswith(f"bad_sidecar: {photos}/a.xmp: it has a ")
    assert not first["valid"] and first["tags"] == []
    assert second["valid"] and (photos / "b.xmp").exists()
    assert "3 images = 2 tagged + 1 not (1 bad_sidecar)" in done.stderr
    assert (photos / "a.xmp").read_bytes() == BOMB
    # As of an image that cannot be read: nothing was tagged.
    assert tag(server, photos / "a.jpg", *told).exit_code == 1


def test_addresses_and_tasks_without_sidecars(server, task_server, photos):
    done = tag(server, "https://example.org/a.jpg")
    assert "received: https://example.org/a.jpg" in str(done.exception)
    done = tag(task_server, photos, "--name", "boxes")
    assert "--xmp takes the tags of a tagger" in str(done.exception)
    assert not list(photos.glob("*.xmp"))
