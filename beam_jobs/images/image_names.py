"""Names of images: paths, URLs, suffixes; nothing is looked at."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable
from urllib.parse import unquote

from beam_jobs.errors import InputError
from beam_jobs.files import storage

SUFFIXES = (
    ".avif",
    ".bmp",
    ".gif",
    ".heic",
    ".heif",
    ".jfif",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
)
TEXTS = frozenset(
    {".csv", ".html", ".json", ".jsonl", ".log", ".tsv", ".txt", ".xml"}
)
_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")


def suffix_of(name: str) -> str:
    """Returns the suffix of a path in small letters, `.jpg`."""
    return os.path.splitext(name)[1].lower()


def is_image_name(name: str) -> bool:
    """Tells whether a path ends as image files do."""
    return suffix_of(name) in SUFFIXES


def count_suffixes(paths: Iterable[str]) -> dict[str, int]:
    """Returns how many paths have each suffix, in small letters.

    Example:
        >>> count_suffixes(["a/b.TXT", "c.txt", "d"])
        {'.txt': 2, 'no suffix': 1}
    """
    found = Counter(suffix_of(path) or "no suffix" for path in paths)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def is_url(text: str) -> bool:
    """Tells whether a text is a web address."""
    return text[:8].lower().startswith(("http://", "https://"))


class AddressError(ValueError):
    """An image's address that cannot be read here; an image all the same."""


def check_address(name: str) -> None:
    """Checks that an address is a URL, or of a store that can be read here.

    Raises:
        AddressError: it is neither; a name without `://` is no address.
    """
    if "://" not in name or is_url(name):
        return
    try:
        storage.check(name)
    except InputError as error:
        raise AddressError(str(error)) from error


def without_scheme(name: str) -> str:
    """Returns the path of a `file:` address; any other name as it is.

    Example:
        >>> without_scheme("file:///C:/a.jpg"), without_scheme("file:/x/a.jpg")
        ('C:/a.jpg', '/x/a.jpg')
    """
    if name[:5].lower() != "file:":
        return name
    path = unquote(name[5:]).lstrip("/")
    return path if _DRIVE.match(path) else f"/{path}"


def plain_path(name: str) -> str:
    """Returns a path of another machine as a relative one.

    Example:
        >>> plain_path("C:\\\\x\\\\a.jpg"), plain_path("../../x/a.jpg")
        ('x/a.jpg', 'x/a.jpg')
        >>> plain_path("/data/local-files/?d=x/a%20b.jpg")  # Label Studio
        'x/a b.jpg'
    """
    before, mark, after = without_scheme(name).partition("?d=")
    path = (unquote(after) if mark else before).replace("\\", "/")
    return posixpath.normpath("/" + _DRIVE.sub("", path)).lstrip("/")


def is_inside(name: str) -> bool:
    """Tells whether a name is a path that stays within its folder."""
    if name.startswith("/") or "\\" in name or not name:
        return False
    # Neither the address of an object store nor what no file can be named.
    if "://" in name or "\0" in name or not is_encodable(name):
        return False
    return ".." not in name or ".." not in name.split("/")


def is_encodable(text: str) -> bool:
    """Tells whether a text has no half of a character, as JSON can say it."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def path_id(name: str) -> str:
    """Returns the id of an image within its source: its path.

    Example:
        >>> path_id("./frames/0001.jpg"), path_id("a//b.png")
        ('frames/0001.jpg', 'a/b.png')
    """
    if is_url(name) or "://" in name:
        return name
    return posixpath.normpath(name) if name else name


def download_name(url: str) -> str:
    """Returns the path of a URL's image within the folder of downloads.

    It depends on the whole URL and on nothing else, so it is known before the
    download, and no two URLs share one. 256 folders keep each one short.

    Example:
        >>> download_name("https://example.org/a.jpg")[:12]
        '70/700caca5a'
    """
    digest = hashlib.sha256(url.encode()).hexdigest()
    return f"{digest[:2]}/{digest}"
