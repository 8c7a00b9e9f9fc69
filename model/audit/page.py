"""The findings as one HTML page, to accept or to correct.

The page loads nothing: styles, script and pictures are inside it. Names come
from outside; Jinja escapes them, and a content security policy lets no other
script run. What is decided stays in the browser and is saved as a CSV that
`--corrections` reads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.files import storage
from beam_jobs.pages.page_templates import (
    page_template,
    page_text,
    script_hash,
)
from model.audit.findings import Finding, Picture
from model.audit.tables import Counts

PAGE = "index.html"
_PACKAGE = "model.audit"


def write(
    out: Path,
    found: Sequence[Finding],
    counts: Counts,
    pictures: Mapping[str, Picture],
    images: int,
    vocabulary: Vocabulary,
) -> Path:
    """Writes the page into a folder; returns its path."""
    path = out / PAGE
    text = render(found, counts, pictures, images, vocabulary)
    storage.write_text(str(path), text)
    return path


def render(
    found: Sequence[Finding],
    counts: Counts,
    pictures: Mapping[str, Picture],
    images: int,
    vocabulary: Vocabulary,
) -> str:
    """Returns the page.

    Args:
        found: in the order to show them.
        counts: of them.
        pictures: by name, of all of them.
        images: that were looked at.
        vocabulary: says the names of their classes.
    """
    script = page_text(_PACKAGE, "audit.js")
    return page_template(_PACKAGE, "audit.html").render(
        title="Label audit",
        style=page_text(_PACKAGE, "audit.css"),
        img_src="data:",
        script=script,
        script_hash=script_hash(script),
        found=found,
        counts=counts,
        images=images,
        key=_key(found),
        names=lambda w: vocabulary[vocabulary.index_of(w)].display_name,
        picture=lambda f: base64.b64encode(pictures[f.picture].data).decode(),
    )


def _key(found: Sequence[Finding]) -> str:
    """Tells the decisions on these findings from others of the browser."""
    labels = "\n".join(f"{f.image_id}\t{f.wnid}" for f in found)
    return hashlib.sha256(labels.encode()).hexdigest()[:16]
