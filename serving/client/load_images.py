"""Names of images -> their bytes, or why there are none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.images.image_names import is_url
from beam_jobs.rejections import Reason
from serving.api import contract

SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp")
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")


class ImageProblem(Exception):
    """An image that is not sent to a server.

    Attributes:
        text: `reason: detail`.
    """

    def __init__(self, reason: Reason, detail: str):
        self.text = f"{reason.value}: {detail}"
        super().__init__(self.text)


@dataclass(frozen=True)
class LoadedImage:
    """An image file, or why there is none.

    Attributes:
        name: its path or URL, as it was given or found.
        data: the whole file; empty if there is an error.
        error: `reason: detail`, empty if there is none.
    """

    name: str
    data: bytes
    error: str = ""


# What is still to be loaded, or has been, or could not be.
Item = str | LoadedImage


def check_bytes(data: bytes) -> None:
    """Looks at an image's size and first bytes; decodes nothing.

    Raises:
        ImageProblem: a server would not tag it.
    """
    if not data:
        raise ImageProblem(Reason.EMPTY_FILE, "0 bytes")
    if len(data) > contract.MAX_IMAGE_BYTES:
        limit = f"over {contract.MAX_IMAGE_BYTES} bytes"
        raise ImageProblem(Reason.TOO_MANY_BYTES, limit)
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not (webp or data.startswith(_STARTS)):
        detail = f"it starts with {data[:8]!r}"
        raise ImageProblem(Reason.NOT_AN_IMAGE, detail)


def check_names(names: Iterable[str]) -> None:
    """Checks that the files and folders that were named are there.

    Raises:
        InputError: one is not.
    """
    for name in names:
        if not is_url(name) and not os.path.exists(name):
            raise InputError(
                f"cannot read {name}: no such file or folder; give image "
                "files, folders, http:// or https:// URLs, or - for a list "
                "on standard input"
            )


def expand(names: Iterable[str]) -> Iterator[Item]:
    """Yields the images that names stand for, folders' in sorted order.

    Of a folder, and those in it, the files with an image's suffix are taken;
    hidden ones are not. A folder that cannot be read is an
    item with an error.
    """
    for name in names:
        if not is_url(name) and os.path.isdir(name):
            yield from _walk(name)
        else:
            yield name


def _walk(folder: str) -> Iterator[Item]:
    try:
        with os.scandir(folder) as found:
            # Names alone: the entries take three times as much memory.
            shown = [e.name for e in found if not storage.is_hidden(e.name)]
    except OSError as error:
        yield LoadedImage(folder, b"", _unreadable(error).text)
        return
    shown.sort(reverse=True)
    while shown:
        path = os.path.join(folder, shown.pop())
        if path.lower().endswith(SUFFIXES) and os.path.isfile(path):
            yield path
        # A link to a folder above would never end.
        elif os.path.isdir(path) and not os.path.islink(path):
            yield from _walk(path)


def load(item: Item, read_url: Callable[[str], bytes]) -> LoadedImage:
    """Reads an image and looks at it; never raises for what it is.

    Args:
        read_url: returns the bytes of a URL, or raises ImageProblem.
    """
    if isinstance(item, LoadedImage):
        return item
    try:
        data = read_url(item) if is_url(item) else read_file(item)
    except ImageProblem as problem:
        return LoadedImage(item, b"", problem.text)
    return checked(item, data)


def checked(name: str, data: bytes) -> LoadedImage:
    """Returns an image after a look at its bytes."""
    try:
        check_bytes(data)
    except ImageProblem as problem:
        return LoadedImage(name, b"", problem.text)
    return LoadedImage(name, data)


def read_file(path: str) -> bytes:
    """Reads a file, at most one byte more than an image may have.

    Raises:
        ImageProblem: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            most = contract.MAX_IMAGE_BYTES
            # Python takes all that it is to read at once, 20 MB an image, and
            # cuts it down after. A pipe has no size.
            size = os.fstat(file.fileno()).st_size or most
            return file.read(min(size, most) + 1)
    except (OSError, ValueError) as error:  # a zero byte in its name
        raise _unreadable(error) from error


def _unreadable(error: OSError | ValueError) -> ImageProblem:
    detail = getattr(error, "strerror", None) or str(error)
    return ImageProblem(Reason.UNREADABLE_FILE, detail)
