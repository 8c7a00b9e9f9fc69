"""`tagforest tag --xmp` against a running server."""

from __future__ import annotations

import json

import pytest
from lxml import etree

from beam_jobs.errors import InputError
from serving.api import contract
from serving.api.prediction import Prediction, Tag, TaggedImage
from serving.client.client_options import TagRun
from serving.client.task_options import chosen
from serving.sidecars.options import SidecarOptions
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
    every = ["--min-confidence", 0, "--xmp-names", "full"]
    done = tag(server, photos, *every)
    assert done.exit_code == 0, done.exception
    found = photos / "a.jpg.xmp"
    assert sorted(listed(found, "subject")) == ["cat", "dog", "soap"]
    # What is above was no tag: the server was asked for it.
    paths = sorted(listed(found, "hierarchicalSubject"))
    assert paths == ["entity|cat", "entity|dog", "entity|soap"]
    assert {n: (photos / n).read_bytes() for n in before} == before
    done = tag(server, photos / "a.jpg", *every, "--xmp-above", "--top", 3)
    assert done.exit_code == 0, done.exception
    # The best is the broadest.
    assert listed(found, "subject")[0] == "entity"
    assert len(listed(found, "subject")) == 3
    # Once more: the sidecar has the words of the last run.
    done = tag(
        *(server, photos / "a.jpg", *every, "--include", "own:bar_of_soap")
    )
    assert done.exit_code == 0, done.exception
    assert listed(found, "TagsList") == ["entity/soap"]


def test_sidecars_hold_all_tags_unless_a_number_is_said():
    written = SidecarOptions(xmp=True)
    assert TagRun(("a.jpg",)).most == 5
    assert TagRun(("a.jpg",), sidecars=written).most is None
    assert TagRun(("a.jpg",), sidecars=written, top=7).most == 7
    tags = tuple(Tag(f"{n}", f"n{n}", 0.5) for n in range(9))
    found = TaggedImage("a.jpg", Prediction(True, tags))
    shown = chosen(TagRun(("a.jpg",), sidecars=written), found, contract.TAGS)
    assert shown == found
    with pytest.raises(InputError, match="--xmp-above needs --xmp"):
        SidecarOptions(above=True)


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
