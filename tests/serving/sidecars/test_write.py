"""Sidecars on disk: whole or as they were; images are never written."""

from __future__ import annotations

import os
import stat

import pytest

from serving.sidecars.options import SidecarOptions
from serving.sidecars.words import Word
from serving.sidecars.write import sidecar_of, write_sidecar
from serving.sidecars.xmp import SidecarError

STEM, FULL = SidecarOptions(xmp=True), SidecarOptions(xmp=True, names="full")
DOG = [Word("dog", ("dog",))]
VERSIONS = ("m", "v")


@pytest.fixture(name="image")
def fixture_image(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"image")
    # Whoever would open it for writing fails, but for root.
    path.chmod(0o444)
    return path


def test_names(image, tmp_path):
    assert sidecar_of(image, STEM) == tmp_path / "photo.xmp"
    assert sidecar_of(image, FULL) == tmp_path / "photo.jpg.xmp"
    dotted = tmp_path / "a.b.png"
    assert sidecar_of(dotted, STEM) == tmp_path / "a.b.xmp"
    (tmp_path / "photo.PNG").touch()
    with pytest.raises(SidecarError, match=r"of photo\.PNG too"):
        sidecar_of(image, STEM)
    assert sidecar_of(image, FULL).name == "photo.jpg.xmp"


def test_the_image_stays(image, tmp_path):
    before = image.stat()
    path = write_sidecar(image, DOG, VERSIONS, FULL)
    assert b"<rdf:li>dog</rdf:li>" in path.read_bytes()
    assert image.stat() == before
    assert {p.name for p in tmp_path.iterdir()} == {
        "photo.jpg",
        "photo.jpg.xmp",
    }


def test_the_same_again_writes_nothing(image):
    path = write_sidecar(image, DOG, VERSIONS, STEM)
    path.chmod(0o640)
    before = path.stat()
    assert write_sidecar(image, DOG, VERSIONS, STEM).stat() == before
    write_sidecar(image, [], VERSIONS, STEM)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert b"dog" not in path.read_bytes()


def test_a_link_stays_one(image, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "a.xmp"
    path = write_sidecar(image, DOG, VERSIONS, STEM)
    os.replace(path, target)
    path.symlink_to(target)
    write_sidecar(image, [], VERSIONS, STEM)
    assert path.is_symlink() and b"dog" not in target.read_bytes()


def test_what_cannot_be_read_or_written(image, tmp_path, monkeypatch):
    path = tmp_path / "photo.xmp"
    path.write_bytes(b"<!DOCTYPE x><x/>")
    with pytest.raises(SidecarError, match=f"{path}: it has a document type"):
        write_sidecar(image, DOG, VERSIONS, STEM)
    assert path.read_bytes() == b"<!DOCTYPE x><x/>"
    path.unlink()
    path.mkdir()
    with pytest.raises(SidecarError, match=f"{path}: Is a directory"):
        write_sidecar(image, DOG, VERSIONS, STEM)
    path.rmdir()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SidecarError, match="No space left"):
        write_sidecar(image, DOG, VERSIONS, STEM)
    assert [p.name for p in tmp_path.iterdir()] == ["photo.jpg"]
