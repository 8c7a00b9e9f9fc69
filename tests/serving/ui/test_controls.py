"""The bar of settings in a real browser."""

from __future__ import annotations

import psutil

from serving.ui.page_process import page_beside
from tests.helpers.images import noise_image
from tests.helpers.pages import card, drop, needs_browser, opened, slider
from tests.helpers.waiting import LIMIT_S

# Of all that the page says about the threshold, whenever any of it changes.
_WATCH = """() => {
  window.seen = [];
  const input = document.querySelector("input[type=range]");
  const number = document.querySelector(".tf-value");
  const note = () => window.seen.push([input.value, number.textContent]);
  input.addEventListener("input", note);
  new MutationObserver(note).observe(
    document.querySelector(".tf-bar"),
    {subtree: true, childList: true, characterData: true, attributes: true});
}"""


@needs_browser
def test_settings_change_the_tree_at_once(page):
    drop(page, noise=noise_image(1))
    rows = card(page, "noise").locator(".tf-row")
    rows.first.wait_for()
    for _ in range(5):
        slider(page).press("PageDown")
    page.get_by_text("0.00", exact=True).wait_for()
    names = rows.locator(".tf-name").filter(visible=True)
    names.nth(2).wait_for()
    assert names.first.inner_text() == "entity"
    assert names.count() == 3  # All that the model answers.
    page.get_by_role("switch").click()
    names.nth(2).wait_for(state="detached")
    assert "entity" not in names.all_inner_texts()

    page.get_by_label("Find a tag").fill("food")
    names.first.wait_for(state="detached")
    card(page, "noise").get_by_text('nothing matches "food"').wait_for()
    page.get_by_label("Find a tag").fill("")
    names.first.wait_for()
    page.get_by_label("Remove noise.jpg").click()
    card(page, "noise").wait_for(state="detached")


@needs_browser
def test_no_answer_of_a_slow_server_moves_the_slider(browser):
    """A press was lost when an older value came back before it."""
    before = {*psutil.Process().children()}
    with page_beside("127.0.0.1", 0) as start:
        url = start("tagforest", "127.0.0.1:1")
        (process,) = {*psutil.Process().children()} - before
        page = browser.new_page()
        page.set_default_timeout(1000 * LIMIT_S)
        page.goto(url)
        page.get_by_text("No answer from").wait_for()
        page.evaluate(_WATCH)
        process.suspend()
        for _ in range(4):
            slider(page).press("PageDown")
            # Long enough that each is sent by itself.
            page.wait_for_timeout(100)
        process.resume()
        slider(page).press("PageDown")
        # Its answer comes after those to all that was sent before.
        page.get_by_role("switch").click()
        page.get_by_role("switch", checked=True).wait_for()
        seen = page.evaluate("window.seen")
        page.close()
    values = [float(value) for value, _ in seen]
    assert values == sorted(values, reverse=True)
    assert seen[-1] == ["0", "0.00"]


@needs_browser
def test_the_slider_looks_idle_where_it_does_nothing(page):
    group = page.locator(".tf-idle")
    assert group.get_by_label("Threshold for all classes").count() == 1
    assert group.locator(".tf-value").inner_text() == "own"
    slider(page).press("PageUp")
    group.wait_for(state="detached")
    page.get_by_text("0.60", exact=True).wait_for()
    page.get_by_role("button", name="Calibrated").click()
    group.wait_for()


@needs_browser
def test_what_is_compared_is_explained(browser, url):
    with opened(browser, url) as page:
        legend = page.get_by_label("What the marks mean")
        assert not legend.is_visible()
        drop(page, noise=noise_image(1))
        legend.get_by_text("a tag of the second version").wait_for()
        line = legend.get_by_text("the line: the threshold")
        assert not line.is_visible()
        slider(page).press("PageUp")
        line.wait_for()
        page.get_by_label("Second version").click()
        page.get_by_role("option", name="nothing").click()
        legend.get_by_text("second version").wait_for(state="hidden")
