import base64
import hashlib

import pytest

from beam_jobs.pages.page_templates import (
    page_template,
    page_text,
    script_hash,
)

PAGES = (
    ("beam_jobs.statistics", "statistics"),
    ("beam_jobs.data_gate", "data_gate"),
    ("model.audit", "audit"),
    ("serving.drift", "drift"),
)


def head(**given):
    return page_template("beam_jobs.pages", "head.html").render(given)


def test_the_head_lets_nothing_be_loaded():
    text = head(title="<b>", style="p { margin: 0 }")
    assert "default-src 'none'; style-src 'unsafe-inline'\">" in text
    assert "<title>&lt;b&gt;</title>" in text
    assert "--ink:" in text and "p { margin: 0 }" in text


def test_a_script_and_pictures_are_let_in_by_name():
    text = head(title="x", style="", script_hash="sha256-x", img_src="data:")
    assert "img-src data:; style-src" in text
    assert "script-src 'sha256-x'" in text


def test_the_hash_is_that_of_browsers():
    digest = hashlib.sha256(b"run()").digest()
    assert script_hash("run()") == f"sha256-{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(("package", "name"), PAGES)
def test_every_page_has_the_shared_head(package, name):
    assert '{% include "head.html" %}' in page_text(package, f"{name}.html")
    assert "content-security" not in page_text(package, f"{name}.html").lower()
