"""The page in a real browser."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

from tests.helpers.waiting import LIMIT_S

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, _BROWSERS)), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason=f"none of {_BROWSERS} is installed"
)


@contextmanager
def opened(browser, url: str, **context):
    """Yields the page, once it has reached its server."""
    made = browser.new_context(**context)
    page = made.new_page()
    page.set_default_timeout(1000 * LIMIT_S)
    page.goto(url)
    page.get_by_text("Connected to").wait_for()
    yield page
    made.close()


def file(name: str, content: bytes) -> dict:
    """Returns a file as Playwright takes it."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": content}


def drop(page, **files: bytes) -> None:
    """Gives files to the drop zone, as `name=content`."""
    page.set_input_files(
        "input[type=file]", [file(f"{n}.jpg", b) for n, b in files.items()]
    )


def card(page, name: str):
    """Returns the card of `name.jpg`."""
    return page.locator("article").filter(has_text=f"{name}.jpg")


def slider(page):
    """Returns the threshold's slider."""
    return page.get_by_label("Threshold for all classes")
