"""What the page takes in, and lets go of."""

from __future__ import annotations

import asyncio
import base64
import io

import pytest
from PIL import Image

from serving.client.client_options import ClientOptions
from serving.ui.compared_versions import Column, Tagger, default_pair
from serving.ui.upload_limit import UploadLimit
from serving.ui.uploads import (
    Allowance,
    Refused,
    as_size,
    check_file,
    image_size,
    preview,
    too_many_pixels,
)
from tests.helpers.images import noise_image


def test_allowance_of_a_tab_and_of_all():
    shared = Allowance(most_bytes=100, most_images=3)
    tab = Allowance(most_bytes=70, most_images=2, parent=shared)
    other = Allowance(most_bytes=70, most_images=2, parent=shared)
    tab.take(60)
    with pytest.raises(Refused, match="over 1 KB"):
        tab.take(20)
    other.take(30)
    with pytest.raises(Refused):
        other.take(11)
    assert (shared.held_bytes, shared.held_images) == (90, 2)
    other.take(10)
    with pytest.raises(Refused, match="2 images here already"):
        other.take(0)
    tab.give_back(60)
    assert (shared.held_bytes, shared.held_images) == (40, 2)
    assert (tab.held_bytes, tab.held_images) == (0, 0)


def test_files_that_no_server_would_tag():
    check_file(b"anything else is for the server to judge")
    with pytest.raises(Refused, match="empty"):
        check_file(b"")
    with pytest.raises(
        Refused, match=r"too large: 20\.1 MB, and at most 20 MB are allowed"
    ):
        check_file(bytes(20 * 1024**2 + 1))
    assert [as_size(n) for n in (1, 2048, 1536 * 1024)] == [
        "1 KB",
        "2 KB",
        "1.5 MB",
    ]


def test_size_is_height_and_width():
    assert image_size(noise_image(0, (80, 120), "PNG")) == (80, 120)
    assert image_size(b"no image") is None


def test_too_many_pixels():
    assert too_many_pixels(None) == ""
    assert too_many_pixels((10_000, 10_000)) == ""
    assert too_many_pixels((10_000, 10_001)) == (
        "too large: 10,001 x 10,000 pixels, and at most 100 million are allowed"
    )


def test_preview_is_small_and_never_raises():
    head, _, text = preview(noise_image(0, (800, 1200), "PNG")).partition(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(text))) as small:
        assert small.size == (360, 240)
    assert preview(b"no image") == ""
    assert preview(noise_image(0)[:200]) == ""


def test_columns_to_begin_with():
    numbers = [Column(3, 3), Column(2, 2), Column(1, 1)]
    labels = [Column("stable", 2), Column("canary", 3)]
    assert default_pair(labels + numbers) == labels
    assert default_pair(numbers) == [Column(2, 2), Column(3, 3)]
    assert default_pair(numbers[:1]) == [Column(3, 3)]
    assert labels[0].text == "stable (v2)"


def test_tagger_asks_versions_and_skips_unknown_labels(server):
    tagger = Tagger(server.grpc_address, ClientOptions(), ["nobody"])
    try:
        (column,) = asyncio.run(tagger.columns())
        assert column == Column(1, 1)
        answer = asyncio.run(tagger.tag(noise_image(0), column))
        assert answer.valid and len(answer.tags) == 3
    finally:
        tagger.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([(b"content-length", b"10")], 200),
        ([(b"content-length", b"11")], 413),
        ([(b"transfer-encoding", b"chunked")], 411),
    ],
)
def test_upload_limit(headers, status):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": headers}
    asyncio.run(UploadLimit(app, 10)(scope, None, send))
    assert sent[0]["status"] == status
