"""Four classes and rows of images that have them."""

from __future__ import annotations

import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import TagClass, Vocabulary

WNIDS = ("n00000001", "n00000002", "n00000003", "n00000004")


@pytest.fixture(scope="session")
def classes():
    """Returns vocabulary and hierarchy: 0 above 1 and 2, 2 above 3."""
    vocabulary = Vocabulary(
        TagClass(i, w, f"<b>name {i}</b>") for i, w in enumerate(WNIDS)
    )
    return vocabulary, Hierarchy([(), (0,), (0,), (2,)])


@pytest.fixture(scope="session")
def make_row():
    """Returns a function: tags -> row of an image."""

    def make(*tags: int, **others):
        return {
            "valid": True,
            "wnids": list(WNIDS),
            "scores": [0.9, 0.8, 0.7, 0.2],
            "is_tag": [c in tags for c in range(4)],
            "bytes": 2000,
            "height": 40,
            "width": 50,
            "brightness": 120.0,
            "contrast": 50.0,
            **others,
        }

    return make


@pytest.fixture(scope="session")
def make_line(make_row):
    """Returns a function: tags -> line of a request log."""

    def make(*tags: int, images=None, **others):
        return {
            "type": "tagforest_request_log",
            "time": 1767225600.0,
            "model": "tagforest",
            "version": 3,
            "signature": "serving_default",
            "status": "OK",
            "weights": "abc",
            "images": [make_row(*tags)] if images is None else images,
            **others,
        }

    return make


@pytest.fixture
def write_log():
    """Returns a function that writes lines, dicts or bytes."""
    import orjson

    def write(path, lines):
        content = [
            line if isinstance(line, bytes) else orjson.dumps(line)
            for line in lines
        ]
        path.write_bytes(b"\n".join(content) + b"\n")
        return path

    return write
