"""Templates of HTML pages that load nothing: all is inside them.

What a page shows comes from outside. Jinja escapes it, and a content security
policy lets no script run but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any

_TEMPLATES = "templates"
_SHARED = "beam_jobs.pages"


def page_template(package: str, name: str) -> Any:
    """Returns a template of a package's `templates/`.

    It may include `head.html`, which takes `title`, and where the page has
    them `style`, `script_hash` and `img_src`.

    Args:
        package: dotted name.
        name: file.
    """
    import jinja2

    loaders = [jinja2.PackageLoader(p, _TEMPLATES) for p in (package, _SHARED)]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    return environment.get_template(name)


def page_text(package: str, name: str) -> str:
    """Returns a style or script of a package's `templates/`."""
    file = resources.files(package) / _TEMPLATES / name
    return file.read_text(encoding="utf-8")


def script_hash(script: str) -> str:
    """Returns what a content security policy knows a script by."""
    digest = hashlib.sha256(script.encode()).digest()
    return "sha256-" + base64.b64encode(digest).decode()
