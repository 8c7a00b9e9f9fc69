"""A page beside a server with two versions, in a browser."""

from __future__ import annotations

import shutil

import pytest

from serving.api.server_options import ServerOptions
from serving.api.version_policy import VersionPolicy
from serving.server.local_server import running_server
from serving.ui.page_process import page_beside
from tests.helpers.pages import BROWSER, opened

LABELS = {"stable": 1, "canary": 2}


@pytest.fixture(scope="session")
def two_versions(model_base, tmp_path_factory):
    """A server of the same model twice, as `stable` and `canary`."""
    base = tmp_path_factory.mktemp("two") / "tagforest"
    for version in LABELS.values():
        shutil.copytree(model_base / "1", base / str(version))
    options = ServerOptions(
        grpc_port=0,
        rest_port=0,
        policy=VersionPolicy(specific=(1, 2)),
        labels=LABELS,
    )
    with running_server(base, options) as server:
        yield server


@pytest.fixture(scope="session")
def url(two_versions):
    server = two_versions
    with page_beside("127.0.0.1", 0, [*LABELS]) as start:
        yield start(server.name, server.grpc_address, server.rest_address)


# Ends with the module: other tests have event loops of their own.
@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root may not make Chromium's own sandbox.
        launched = playwright.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser, url):
    """As wide as a phone."""
    viewport = {"width": 390, "height": 844}
    with opened(browser, url, viewport=viewport) as page:
        yield page
