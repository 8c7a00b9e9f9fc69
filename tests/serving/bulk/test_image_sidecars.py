"""`tagforest bulk --xmp`: sidecars, and no image lost."""

from __future__ import annotations

import json

import pytest
from lxml import etree
from pyarrow import parquet

from beam_jobs.errors import InputError
from tests.helpers.commands import run
from tests.helpers.images import noise_image
from tests.helpers.tars import write_tar


@pytest.fixture(name="photos")
def fixture_photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(5):
        (folder / f"{seed}.jpg").write_bytes(noise_image(seed))
    (folder / "3.xmp").write_text("<!DOCTYPE x><x/>")
    return folder


def test_sidecars_of_a_job(model_base, photos, tmp_path):
    out = tmp_path / "out"
    done = run(
        *("bulk", model_base, photos, "--out", out, "--xmp"),
        *("--min-confidence", 0),
    )
    assert done.exit_code == 0, done.exception
    assert "5 images in = 4 tagged + 1 rejected" in done.stdout
    letters = out / "dead_letters" / "bad_sidecar.jsonl"
    (letter,) = map(json.loads, letters.read_text().splitlines())
    assert letter["item"] == str(photos / "3.jpg")
    assert letter["detail"].startswith(f"{photos}/3.xmp: it has a document")
    rows = parquet.read_table(out / "tags").to_pylist()
    assert len(rows) == 4
    for row in rows:
        path = photos / row["image"].replace(".jpg", ".xmp")
        words = etree.parse(path).iterfind(".//{*}subject/*/{*}li")
        assert [w.text for w in words] == [t["name"] for t in row["tags"]]
        paths = etree.parse(path).iterfind(".//{*}TagsList/*/{*}li")
        expected = [f"entity/{tag['name']}" for tag in row["tags"]]
        assert [p.text for p in paths] == expected


def test_archives_have_no_place_for_sidecars(model_base, photos, tmp_path):
    write_tar(photos / "a.tar", {"a.jpg": noise_image(1)})
    done = run("bulk", model_base, photos, "--out", tmp_path / "o", "--xmp")
    assert isinstance(done.exception, InputError)
    assert f"received: {photos}/a.tar" in str(done.exception)
    assert not (photos / "0.xmp").exists()
