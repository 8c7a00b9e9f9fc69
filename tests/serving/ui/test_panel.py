"""Boxes and masks in a real browser."""

from __future__ import annotations

import numpy as np
import pytest

from serving.ui.page_process import page_beside
from tests.helpers.images import encode, noise_image
from tests.helpers.pages import card, drop, needs_browser, opened, slider


@pytest.fixture(params=["boxes", "masks"])
def drawn(browser, task_server, request):
    """A page for what is drawn over the image, and which of the two it is."""
    with page_beside("127.0.0.1", 0) as start:
        url = start(request.param, task_server.grpc_address)
        with opened(browser, url) as page:
            yield page, request.param


@needs_browser
def test_boxes_and_masks_are_drawn_over_the_image(drawn):
    page, kind = drawn
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, :45, 0] = pixels[:, 45:, 1] = 255
    drop(
        page,
        scene=encode(pixels),
        cut=noise_image(2)[:150],
        other=noise_image(3),
    )
    card(page, "other").locator(
        ".tf-scene > img[src^='data:']"
    ).first.wait_for()
    card(page, "cut").get_by_text("could not decode it").wait_for()
    shown = card(page, "scene")
    scene = shown.locator(".tf-scene").bounding_box()
    names = shown.locator(".tf-entry .tf-name")
    if kind == "masks":
        shown.get_by_text("2 classes on 100% of").wait_for()
        assert names.all_inner_texts() == ["dog", "cat"]
        assert shown.locator(".tf-mask").bounding_box() == scene
        assert not page.locator(".tf-slider").is_visible()
        return
    # Red is 0.75, a dog; green is 0.25, below where the slider starts.
    shown.get_by_text("1 box").wait_for()
    box = shown.locator(".tf-box").bounding_box()
    assert box["x"] == pytest.approx(scene["x"], abs=1)
    assert box["width"] == pytest.approx(scene["width"] / 2, abs=1)
    assert box["height"] == pytest.approx(scene["height"], abs=1)
    for _ in range(3):
        slider(page).press("PageDown")
    shown.get_by_text("2 boxes").wait_for()
    assert names.all_inner_texts() == ["dog", "cat"]
    assert shown.locator(".tf-box").count() == 2
