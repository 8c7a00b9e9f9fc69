"""The page in a real browser, beside a server with two versions."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import psutil
import pytest

from serving.api.server_options import ServerOptions
from serving.server.local_server import running_server
from serving.ui.page_process import page_beside
from tests.helpers.images import noise_image
from tests.helpers.pages import (
    card,
    drop,
    file,
    needs_browser,
    opened,
    slider,
)
from tests.helpers.waiting import LIMIT_S

# What a browser does with a file from the desktop; without one if unnamed.
_DRAG = """([where, name]) => {
  const carried = new DataTransfer();
  if (name) carried.items.add(
    new File([Uint8Array.from(window.image)], name, {type: "image/jpeg"}));
  const allowed = ["dragover", "drop"].map((kind) => {
    const event = new DragEvent(
      kind, {bubbles: true, cancelable: true, dataTransfer: carried});
    document.querySelector(where).dispatchEvent(event);
    return !event.defaultPrevented;
  });
  return allowed;
}"""


@needs_browser
def test_dropped_images_become_trees(page):
    foreign = []
    page.on("request", lambda r: foreign.append(r.url))
    drop(page, noise=noise_image(1), cut=noise_image(2)[:150])
    rows = card(page, "noise").locator(".tf-row").filter(visible=True)
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
def test_images_stay_in_the_order_of_choosing(page):
    # The larger ones arrive, are drawn and are answered later.
    sides = [900, 20, 600, 20, 300, 20]
    names = [f"{number}.jpg" for number in range(len(sides))]
    files = [
        file(name, noise_image(n, (side, side)))
        for n, (name, side) in enumerate(zip(names, sides, strict=True))
    ]
    page.set_input_files("input[type=file]", files)
    card(page, "5").wait_for()
    page.get_by_text("Images: 6").wait_for()
    assert page.locator(".tf-file").all_inner_texts() == names


@needs_browser
@pytest.mark.parametrize("where", [".tf-drop", ".tf-main", ".tf-head", "body"])
def test_images_are_taken_wherever_they_are_dropped(page, where):
    page.evaluate("i => { window.image = i }", [*noise_image(1)])
    # Neither words nor files replace the page.
    assert page.evaluate(_DRAG, [where, ""]) == [False, False]
    if where == ".tf-drop":
        # What it puts over itself while something is dragged there.
        where = ".q-uploader__dnd"
        page.locator(where).wait_for()
    assert page.evaluate(_DRAG, [where, "noise.jpg"]) == [False, False]
    card(page, "noise").locator(".tf-row").first.wait_for(state="attached")
    assert page.locator("article").count() == 1
    assert page.locator(".tf-dragging").count() == 0


@needs_browser
def test_failed_images_are_asked_about_again(browser, model_base):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    options = ServerOptions(grpc_port=port, rest_port=0)
    address = f"127.0.0.1:{port}"
    with page_beside("127.0.0.1", 0) as start:
        with running_server(model_base, options):
            made = opened(browser, start("tagforest", address))
            page = made.__enter__()
        page.get_by_text("No answer from").wait_for()
        drop(page, noise=noise_image(1))
        card(page, "noise").get_by_text("gave no answer").wait_for()
        with running_server(model_base, options):
            # The versions are the same as before.
            card(page, "noise").get_by_text("Copy command").wait_for()
            assert not page.get_by_text("gave no answer").is_visible()
        made.__exit__(None, None, None)


@needs_browser
def test_hostile_names_are_text(page, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    page.on("dialog", lambda d: pytest.fail("a script ran"))
    drop(page, **{name: noise_image(1)})
    card(page, name).locator(".tf-row").first.wait_for()
    large = tmp_path / "large.jpg"
    large.write_bytes(b"0" * (20 * 1024**2 + 1))
    page.set_input_files("input[type=file]", large)
    page.get_by_text(
        "Not sent: too large: 20.1 MB, and at most 20 MB are allowed"
    ).wait_for()
    assert page.get_by_text(f"{name}.jpg").is_visible()
    page.get_by_label("Find a tag").fill(name)
    page.get_by_text(f'nothing matches "{name}"').wait_for()


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, url, scheme):
    with opened(browser, url, color_scheme=scheme) as page:
        assert wrong_in(page) == []
        drop(page, noise=noise_image(1), cut=noise_image(2)[:150])
        card(page, "noise").locator(".tf-row").first.wait_for()
        card(page, "cut").get_by_text("could not decode it").wait_for()
        assert wrong_in(page) == []
        slider(page).press("PageDown")
        page.get_by_text("0.40", exact=True).wait_for()
        assert wrong_in(page) == []
        assert page.evaluate("document.documentElement.lang") == "en-US"


def wrong_in(page) -> list[str]:
    """Returns what axe-core says, of all its rules."""
    from axe_playwright_python.sync_playwright import Axe

    # Colours in motion are no colours yet.
    page.wait_for_function(
        "!document.querySelector('.q-loading-bar[role]')"
        " && document.getAnimations().length == 0"
    )
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {[n['html'] for n in v['nodes']]}" for v in found]


@needs_browser
def test_keyboard_focus_is_seen_everywhere(page):
    drop(page, noise=noise_image(1))
    # What an answer replaces loses the focus: all of it is to be there.
    card(page, "noise").locator(".tf-row").first.wait_for()
    card(page, "noise").get_by_text("Copy curl").wait_for()
    page.wait_for_load_state("networkidle")
    page.get_by_label("Find a tag").focus()
    seen = []
    while "Remove noise.jpg" not in seen:
        page.keyboard.press("Tab")
        name, outline = page.evaluate("""() => {
          const at = document.activeElement;
          return [at.ariaLabel ?? at.outerHTML, getComputedStyle(
            at.closest(".q-field__control") ?? at).outlineStyle];
        }""")
        # Not a control: what had the focus has been replaced just now.
        if name.startswith("<body"):
            continue
        assert outline == "solid", name
        seen.append(name)
    bar = page.locator(".q-loading-bar")
    assert bar.get_attribute("aria-label") == "Sending"


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
