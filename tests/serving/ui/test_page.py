"""The page in a real browser, beside a server with two versions."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request

import psutil
import pytest

from serving.api.server_options import ServerOptions
from serving.api.version_policy import VersionPolicy
from serving.server.local_server import running_server
from serving.ui.page_process import page_beside
from tests.helpers.images import noise_image
from tests.helpers.waiting import LIMIT_S

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER = next(filter(None, map(shutil.which, _BROWSERS)), None)
needs_browser = pytest.mark.skipif(
    _BROWSER is None, reason=f"none of {_BROWSERS} is installed"
)
LABELS = {"stable": 1, "canary": 2}


@pytest.fixture(scope="module")
def url(model_base, tmp_path_factory):
    base = tmp_path_factory.mktemp("two") / "tagforest"
    for version in LABELS.values():
        shutil.copytree(model_base / "1", base / str(version))
    options = ServerOptions(
        grpc_port=0,
        rest_port=0,
        policy=VersionPolicy(specific=(1, 2)),
        labels=LABELS,
    )
    with (
        page_beside("127.0.0.1", 0, [*LABELS]) as start,
        running_server(base, options) as server,
    ):
        yield start(server.name, server.grpc_address)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # A container's root may not make Chromium's own sandbox.
        launched = playwright.chromium.launch(
            executable_path=_BROWSER, args=["--no-sandbox"]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser, url):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.set_default_timeout(1000 * LIMIT_S)
    page.goto(url)
    page.get_by_text("Connected to").wait_for()
    yield page
    context.close()


def drop(page, **files: bytes) -> None:
    """Gives files to the drop zone, as `name=content`."""
    page.set_input_files(
        "input[type=file]",
        [
            {"name": f"{n}.jpg", "mimeType": "image/jpeg", "buffer": content}
            for n, content in files.items()
        ],
    )


def card(page, name: str):
    return page.locator("article").filter(has_text=f"{name}.jpg")


@needs_browser
def test_dropped_images_become_trees(page):
    foreign = []
    page.on("request", lambda r: foreign.append(r.url))
    drop(page, noise=noise_image(1), cut=noise_image(2)[:150])
    rows = card(page, "noise").locator(".tf-row")
    rows.first.wait_for()
    card(page, "cut").get_by_text("could not decode it").wait_for()
    assert card(page, "cut").locator(".tf-row").count() == 0
    assert foreign and all(
        "127.0.0.1" in u or u[:5] == "data:" for u in foreign
    )

    # Both labels, side by side, the same model twice.
    heads = card(page, "noise").locator(".tf-columns").inner_text()
    assert heads.split("\n") == ["Tag", "stable (v1)", "canary (v2)"]
    assert "no differences" in card(page, "noise").inner_text()
    entity = rows.filter(has_text="entity")
    numbers = entity.locator(".tf-number").all_inner_texts()
    assert len(numbers) == 2 and numbers[0] == numbers[1]
    assert "model" in page.locator(".tf-foot").inner_text()
    # No sideways scrolling on a phone.
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@needs_browser
def test_settings_change_the_tree_at_once(page):
    drop(page, noise=noise_image(1))
    rows = card(page, "noise").locator(".tf-row")
    rows.first.wait_for()
    slider = page.locator("[role=slider] [tabindex]")
    slider.focus()
    for _ in range(5):
        slider.press("PageDown")
    page.get_by_text("0.00", exact=True).wait_for()
    names = page.locator(".tf-name")
    names.nth(2).wait_for()
    assert names.first.inner_text() == "entity"
    assert names.count() == 3  # All that the model answers.
    page.get_by_role("switch").click()
    names.nth(2).wait_for(state="detached")
    assert "entity" not in names.all_inner_texts()

    page.get_by_label("Find a tag").fill("no such tag")
    names.first.wait_for(state="detached")
    card(page, "noise").get_by_text("No tag with these").wait_for()
    page.get_by_label("Find a tag").fill("")
    names.first.wait_for()
    page.get_by_label("Remove noise.jpg").click()
    card(page, "noise").wait_for(state="detached")


@needs_browser
def test_hostile_names_are_text(page, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    page.on("dialog", lambda d: pytest.fail("a script ran"))
    drop(page, **{name: noise_image(1)})
    card(page, name).locator(".tf-row").first.wait_for()
    large = tmp_path / "large.jpg"
    large.write_bytes(b"0" * (20 * 1024**2 + 1))
    page.set_input_files("input[type=file]", large)
    page.get_by_text("Not sent: 20 MB, and 20 MB is the most").wait_for()
    assert page.get_by_text(f"{name}.jpg").is_visible()


def test_page_knows_its_host_and_ends_with_its_block():
    before = {*psutil.Process().children()}
    with page_beside("127.0.0.1", 0) as start:
        url = start("tagforest", "127.0.0.1:1")
        (process,) = {*psutil.Process().children()} - before
        with urllib.request.urlopen(url, timeout=LIMIT_S) as reply:
            assert b"tagforest" in reply.read()
        maps = "\n".join(m.path for m in process.memory_maps())
        assert "tensorflow" not in maps
        request = urllib.request.Request(url, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=LIMIT_S)
    assert not process.is_running()
