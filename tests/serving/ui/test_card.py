"""An image's card in a real browser."""

from __future__ import annotations

import io
import subprocess

import numpy as np
import psutil
import pytest
from PIL import Image

from serving.ui.page_process import page_beside
from tests.helpers.images import encode, noise_image
from tests.helpers.pages import card, drop, needs_browser, opened, slider


@pytest.fixture
def copying(browser, url):
    """A page, and what reads the clipboard."""
    may = ["clipboard-read", "clipboard-write"]
    with opened(browser, url, permissions=may) as page:
        yield page, lambda: page.evaluate("navigator.clipboard.readText()")


@needs_browser
def test_tags_and_command_are_copied(copying, tmp_path):
    page, clipboard = copying
    name = 'it\'s "$(touch hit)"'
    drop(page, **{name: noise_image(1)})
    shown = page.get_by_role("article")
    for _ in range(5):
        slider(page).press("PageDown")
    shown.get_by_text("3 tags").wait_for()
    shown.get_by_role("button", name="Copy tags").click()
    shown.get_by_text("Tags copied").wait_for()
    # The same as the rows, best first.
    names = shown.locator(".tf-row .tf-name").all_inner_texts()
    assert sorted(clipboard().split(", ")) == sorted(names)
    assert shown.locator(".tf-best > *").all_inner_texts() == names[1:]

    shown.get_by_role("button", name="Copy curl").click()
    shown.get_by_text("Command copied").wait_for()
    (tmp_path / f"{name}.jpg").write_bytes(noise_image(1))
    done = subprocess.run(
        ["bash", "-ec", clipboard()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    # A line a version that is compared.
    assert done.stdout.count('"predictions"') == 2
    assert not (tmp_path / "hit").exists()


@needs_browser
def test_rows_fold(page):
    drop(page, noise=noise_image(1))
    for _ in range(5):
        slider(page).press("PageDown")
    names = card(page, "noise").locator(".tf-name").filter(visible=True)
    names.nth(2).wait_for()
    fold = page.get_by_role("button", name="Below entity")
    fold.press("Enter")
    names.nth(1).wait_for(state="detached")
    assert fold.get_attribute("aria-expanded") == "false"
    # What is folded stays so while the slider moves.
    slider(page).press("PageUp")
    page.get_by_text("0.10", exact=True).wait_for()
    assert names.count() == 1
    fold.click()
    names.nth(1).wait_for()


@needs_browser
def test_an_image_of_too_many_pixels_is_called_too_large(page):
    buffer = io.BytesIO()
    Image.new("1", (20_000, 10_000)).save(buffer, "PNG")
    drop(page, large=buffer.getvalue())
    card(page, "large").get_by_text(
        "too large: 20,000 x 10,000 pixels, and at most 100 million"
    ).wait_for()


@pytest.fixture(params=["boxes", "masks"])
def drawn(browser, task_server, request):
    """A page of what is drawn, which of the two it is, and its process."""
    before = {*psutil.Process().children()}
    with page_beside("127.0.0.1", 0) as start:
        url = start(request.param, task_server.grpc_address)
        (process,) = {*psutil.Process().children()} - before
        may = ["clipboard-read", "clipboard-write"]
        with opened(browser, url, permissions=may) as page:
            yield page, request.param, process


@needs_browser
def test_boxes_and_masks_are_drawn_over_the_image(drawn):
    page, kind, process = drawn
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :45, 0] = pixels[:, 45:, 1] = 255
    drop(
        page,
        scene=encode(pixels),
        cut=noise_image(2)[:150],
        other=noise_image(3),
    )
    card(page, "other").locator(".tf-scene").wait_for()
    card(page, "cut").get_by_text("could not decode it").wait_for()
    shown = card(page, "scene")
    shown.locator(".tf-scene").wait_for()
    picture = "e => getComputedStyle(e).backgroundImage"
    assert "data:image" in shown.locator(".tf-scene").evaluate(picture)
    scene = shown.locator(".tf-scene").bounding_box()
    assert scene["width"] == pytest.approx(3 * scene["height"], abs=1)
    names = shown.locator(".tf-entry .tf-name")
    if kind == "masks":
        shown.get_by_text("2 classes on 100% of").wait_for()
        assert names.all_inner_texts() == ["dog", "cat"]
        assert shown.locator(".tf-mask").bounding_box() == scene
        assert copied(page, shown) == "dog, cat"
        assert not page.locator(".tf-slider").is_visible()
        return
    # Red is 0.75, a dog; green is 0.25, below where the slider starts.
    shown.get_by_text("1 box").wait_for()
    box = shown.locator(".tf-box").bounding_box()
    assert box["x"] == pytest.approx(scene["x"], abs=1)
    assert box["width"] == pytest.approx(scene["width"] / 2, abs=1)
    assert box["height"] == pytest.approx(scene["height"], abs=1)
    assert copied(page, shown) == "dog"
    # The browser alone moves the threshold: nobody else is there.
    process.suspend()
    try:
        for _ in range(3):
            slider(page).press("PageDown")
        shown.get_by_text("2 boxes").wait_for()
    finally:
        process.resume()
    assert names.all_inner_texts() == ["dog", "cat"]
    assert shown.locator(".tf-box").count() == 2
    assert copied(page, shown) == "dog, cat"
    page.get_by_label("Find a tag").fill("cat")
    shown.get_by_text("1 box").wait_for()
    shown.get_by_role("button", name="Copy command").click()
    shown.get_by_text("Command copied").wait_for()
    command = page.evaluate("navigator.clipboard.readText()")
    assert command.endswith("--name boxes --version 1 < scene.jpg")


def copied(page, shown) -> str:
    shown.get_by_role("button", name="Copy tags").click()
    shown.get_by_text("Tags copied").wait_for()
    return page.evaluate("navigator.clipboard.readText()")
