from __future__ import annotations

import io
import os
import threading

import pytest

from beam_jobs.errors import InputError
from serving.api import contract
from serving.client.load_images import (
    ImageProblem,
    LoadedImage,
    check_bytes,
    check_names,
    expand,
    load,
    read_file,
)
from tests.helpers.images import noise_image


def test_folders_are_walked_in_order(tmp_path, monkeypatch):
    for name in (
        "b.PNG",
        "a/z.jpeg",
        "a/b/c.webp",
        "c/d.gif",
        ".git/a.jpg",
        "c/._d.gif",
        "c/__MACOSX/d.gif",
        "notes.txt",
        "jpg",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "folder.jpg").mkdir()
    monkeypatch.chdir(tmp_path)
    url = "https://example.org/x"
    assert list(expand(["notes.txt", ".", url, "a/b", "none"])) == [
        "notes.txt",
        "./a/b/c.webp",
        "./a/z.jpeg",
        "./b.PNG",
        "./c/d.gif",
        url,
        "a/b/c.webp",
        "none",
    ]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_images_pass(form):
    check_bytes(noise_image(1, form=form))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"RIFF\0\0\0\0WAVE", "not_an_image"),
        (b"<html>", "not_an_image"),
        (b"\xff\xd8\xff" + bytes(contract.MAX_IMAGE_BYTES), "too_many_bytes"),
    ],
)
def test_others_do_not(data, reason):
    with pytest.raises(ImageProblem, match=f"^{reason}: "):
        check_bytes(data)


def test_what_cannot_be_read_says_so(tmp_path):
    missing = str(tmp_path / "none.jpg")
    error = "unreadable_file: No such file or directory"
    assert load(missing, None) == LoadedImage(missing, b"", error)
    assert load("a\0b", None).error == "unreadable_file: embedded null byte"
    assert load(str(tmp_path), None).error.endswith("Is a directory")
    with pytest.raises(InputError, match="cannot read .*none.jpg"):
        check_names(["https://example.org/x", str(tmp_path), missing])


def test_bytes_of_files_and_urls(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(noise_image(1))
    found = load(str(path), None)
    assert found == LoadedImage(str(path), noise_image(1))
    assert load(found, None) is found
    urls = {"http://a/b": io.BytesIO(noise_image(2)).getvalue()}
    assert load("http://a/b", urls.get).data == noise_image(2)


def test_a_pipe_is_read_to_its_end(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"\xff\xd8\xff",))
    writer.start()
    assert read_file(str(pipe)) == b"\xff\xd8\xff"
    writer.join()
