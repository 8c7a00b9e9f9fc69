"""An image's card in a real browser."""

from __future__ import annotations

import io
import subprocess

import pytest
from PIL import Image

from tests.helpers.images import noise_image
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
