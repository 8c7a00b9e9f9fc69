"""Where the picture of a URL lies in a folder of downloads."""

from __future__ import annotations

import hashlib


def download_name(url: str) -> str:
    """Returns the path of a URL's picture within the folder of downloads.

    It depends on the whole URL and on nothing else, so it is known before the
    download, and no two URLs share one. 256 folders keep each one short.

    Example:
        >>> download_name("https://example.org/a.jpg")[:12]
        '70/700caca5a'
    """
    digest = hashlib.sha256(url.encode()).hexdigest()
    return f"{digest[:2]}/{digest}"


def is_url(text: str) -> bool:
    """Tells whether a text is a web address."""
    return text.startswith(("http://", "https://"))
