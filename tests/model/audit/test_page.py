import base64
import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from beam_jobs.classes.vocabulary import TagClass, Vocabulary
from beam_jobs.sources.corrections import read_files
from model.audit import page, tables
from model.audit.findings import Finding, Picture

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER = next(filter(None, map(shutil.which, _BROWSERS)), None)
DOG, CAT = "n02084071", "n02121620"
EVIL = "<script>alert(1)</script>"
VOCABULARY = Vocabulary([TagClass(0, DOG, EVIL), TagClass(1, CAT, "cat")])
COUNTS = tables.Counts(
    [tables.Row(DOG, 5, 1, 0)],
    [tables.Row("annotated", 5, 1)],
    [tables.Row("open_images_human", 5, 1)],
)
FOUND = [
    Finding(
        *(1, "doubtful", 'csv/"><b>', DOG, EVIL, 0.125, 0.5),
        *("annotated", "csv", (CAT,), (CAT,), CAT, "a.jpg"),
    ),
    Finding(
        *(1, "missing", "csv/2", CAT, "cat", 0.9, 0.5, "", "", (), (), ""),
        "b.jpg",
    ),
]
PICTURES = {n: Picture(n, n.encode()) for n in ("a.jpg", "b.jpg")}


def render():
    return page.render(FOUND, COUNTS, PICTURES, 12, VOCABULARY)


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, tag):
        return [attrs for found, attrs in self.found if found == tag]


def test_all_that_is_opened_is_closed():
    elements = Elements(render())
    assert elements.open == []
    first, second = (
        a for a in elements.of("li") if a.get("class") == "finding"
    )
    assert first["data-image"] == 'csv/"><b>'
    assert (first["data-kind"], second["data-kind"]) == ("doubtful", "missing")
    verdicts = [b.get("data-verdict") for b in elements.of("button")]
    assert verdicts == [
        *(None, "present", "absent", "instead", "still", "unclear"),
        *("present", "absent", "unclear"),
    ]
    sources = [
        image["src"].partition("base64,")[2] for image in elements.of("img")
    ]
    assert [base64.b64decode(s) for s in sources] == [b"a.jpg", b"b.jpg"]


def test_names_from_outside_run_nothing():
    text = render()
    assert EVIL not in text
    (script,) = re.findall("<script>(.*?)</script>", text, re.S)
    digest = hashlib.sha256(script.encode()).digest()
    assert f"sha256-{base64.b64encode(digest).decode()}" in text
    (policy,) = re.findall('Policy" content="(.*?)"', text)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_the_page_is_written_the_same(tmp_path):
    given = (FOUND, COUNTS, PICTURES, 12, VOCABULARY)
    path = page.write(tmp_path, *given)
    before = path.read_bytes()
    assert page.write(tmp_path, *given).read_bytes() == before


@pytest.mark.large
@pytest.mark.skipif(_BROWSER is None, reason=f"none of {_BROWSERS} installed")
def test_verdicts_are_saved_as_corrections(tmp_path):
    from playwright.sync_api import sync_playwright

    path = page.write(tmp_path, FOUND, COUNTS, PICTURES, 12, VOCABULARY)
    with sync_playwright() as playwright:
        # A container's root may not make Chromium's own sandbox.
        browser = playwright.chromium.launch(
            executable_path=_BROWSER, args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport={"width": 390, "height": 844})
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(path.as_uri())
        tab.locator("[data-verdict=still]").click()
        tab.locator("[data-verdict=present]").last.click()
        assert tab.locator("#said").inner_text() == "2"
        with tab.expect_download() as download:
            tab.locator("#save").click()
        saved = Path(download.value.path()).read_text()
        tab.reload()
        assert tab.locator("#said").inner_text() == "2"
        tab.locator("#shown").select_option("missing")
        assert tab.locator(".finding:visible").count() == 1
        wide = tab.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert (errors, wide) == ([], 390)
    file = tmp_path / "corrections.csv"
    file.write_text(saved)
    assert read_files([str(file)], VOCABULARY) == (
        {'csv/"><b>': {0: 0.0, 1: 1.0}, "csv/2": {1: 1.0}},
        [],
    )
