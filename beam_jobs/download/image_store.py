"""Downloaded bytes -> a checked image under its final name."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Set

from beam_jobs.download.log import IMAGES, OK, Outcome
from beam_jobs.images.check_image import ImageError, check_image
from beam_jobs.images.image_names import download_name
from beam_jobs.images.options import ImageLimits
from beam_jobs.rejections import Reason

# On the same disk as the images, so that renaming is one step.
PARTIAL = "partial"
_SNIFFED = 1024
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml", b"<!--")
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class ImageStore:
    """The images of a folder of downloads.

    Args:
        out: the folder.
        limits: which images are accepted.
        placeholders: sha256, hex, of contents that say "no photo here".
    """

    def __init__(
        self,
        out: str,
        limits: ImageLimits,
        placeholders: Set[str] = frozenset(),
    ):
        self._out = out
        self._limits = limits
        self._placeholders = placeholders
        os.makedirs(os.path.join(out, PARTIAL), exist_ok=True)

    def save(self, url: str, data: bytes, content_type: str) -> Outcome:
        """Checks an image and gives it its name.

        Raises:
            ImageError: rejected; nothing is kept.
            OSError: it cannot be written.
        """
        found = self._check(url, data, content_type)
        path = self.path(url)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        partial = os.path.join(self._out, PARTIAL, secrets.token_hex(8))
        with open(partial, "wb") as file:
            file.write(data)
        os.replace(partial, path)
        return found

    def find(self, url: str, known_bytes: int | None = None) -> Outcome | None:
        """Returns the image of a URL that is there already, or None.

        Args:
            url: of the image.
            known_bytes: its size; None checks the content as for a new one.
        """
        path = self.path(url)
        try:
            if known_bytes is not None:
                there = os.path.getsize(path) == known_bytes
                return Outcome(url, OK) if there else None
            with open(path, "rb") as file:
                data = file.read(self._limits.max_bytes + 1)
            return self._check(url, data, "")
        except (FileNotFoundError, ImageError):
            return None

    def remove(self, url: str) -> None:
        """Removes an image that turned out to be none."""
        try:
            os.remove(self.path(url))
        except FileNotFoundError:
            return

    def path(self, url: str) -> str:
        """Returns where the image of a URL lies."""
        return os.path.join(self._out, IMAGES, download_name(url))

    def _check(self, url: str, data: bytes, content_type: str) -> Outcome:
        check_kind(data)
        if self._placeholders:
            digest = hashlib.sha256(data).hexdigest()
            if digest in self._placeholders:
                raise ImageError(Reason.PLACEHOLDER, f"sha256 {digest}")
        facts = check_image(data, self._limits)
        return Outcome(
            url,
            OK,
            bytes=len(data),
            sha256=facts.sha256,
            width=facts.width,
            height=facts.height,
            content_type=content_type,
        )


def check_kind(data: bytes) -> None:
    """Refuses web pages by their first bytes, whatever they are called.

    Raises:
        ImageError: WEB_PAGE.
    """
    start = data[:_SNIFFED]
    for mark in _BYTE_ORDER_MARKS:
        start = start.removeprefix(mark)
    start = start.replace(b"\0", b"").lstrip().lower()
    if start.startswith(_PAGES) and b"<svg" not in start:
        detail = f"starts with {start[:40]!r}"
        raise ImageError(Reason.WEB_PAGE, detail)
