from __future__ import annotations

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serving.api import contract
from serving.client.client_options import ClientOptions
from serving.client.load_images import ImageProblem
from serving.client.tag_client import TagClient
from serving.client.url_reader import UrlReader
from tests.helpers.images import noise_image
from tests.helpers.predictions import assert_alike


class Web(BaseHTTPRequestHandler):
    """A and what is none."""

    files: dict[str, bytes] = {}
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        first = self.asked.count(self.path) == 1
        if self.path == "/to_file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
        elif self.path == "/huge":
            self.send_response(200)
            size = contract.MAX_IMAGE_BYTES + 1
            self.send_header("Content-Length", str(size))
        elif self.path == "/busy" and first:
            self.send_response(503)
        elif self.path in self.files:
            self.send_response(200)
        else:
            self.send_response(404)
        self.end_headers()
        self.wfile.write(self.files.get(self.path, b""))

    def log_message(self, *_):
        """Prints nothing."""


@pytest.fixture
def web():
    Web.files = {"/a.jpg": noise_image(1), "/busy": noise_image(2)}
    Web.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/none", "not_found: status 404"),
        ("/to_file", "bad_url"),
        ("/huge", "too_many_bytes"),
    ],
)
def test_what_is_refused(web, path, reason):
    with closing(UrlReader(2, allow_private=True)) as urls:
        with pytest.raises(ImageProblem, match=f"^{reason}"):
            urls.read(web + path)


def test_private_addresses_are_not_asked(web):
    with closing(UrlReader(2)) as urls:
        for url in (web + "/a.jpg", "http://localhost:1/a", "http://[::1]/"):
            with pytest.raises(ImageProblem, match="no public address"):
                urls.read(url)
    assert not Web.asked


def test_urls_are_tagged_like_files(web, server):
    options = ClientOptions(allow_private=True)
    with TagClient(server.grpc_address, options=options) as client:
        names = [web + "/a.jpg", web + "/none", web + "/busy"]
        found = list(client.tag_files(names))
        expected = client.tag([noise_image(1), noise_image(2)])
    assert [f.name for f in found] == names
    assert [f.reason for f in found] == ["", "not_found", ""]
    assert_alike([found[0].prediction, found[2].prediction], expected)
    assert Web.asked.count("/busy") == 2
