"""Image files and tar archives of them: what they are called, what is in."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import posixpath
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.rejections import Reason, Rejection

ARCHIVE = ".tar"
_DRIVE = re.compile(r"^[A-Za-z]:(?=/)")
_WHOLE = re.compile(r"~/|[A-Za-z]:/")
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


def list_images(
    path: str, size: int
) -> Iterator[tuple[str, ImageRef] | Rejection]:
    """Yields (name, place) of all files of a tar, or of the one image file.

    Hidden members are left out, as `storage.list_files` leaves out files.
    A broken archive ends in a Rejection; what comes before it is good.

    Args:
        path: `*.tar`, not compressed, or any other file.
        size: its bytes.
    """
    if not path.endswith(ARCHIVE):
        yield path, ImageRef(path, 0, size)
        return
    for item in _tar_members(path, size):
        if isinstance(item, Rejection):
            yield item
        else:
            name, offset, length = item
            yield name, ImageRef(path, offset, length)


def _check_end(file: BinaryIO, archive: tarfile.TarFile) -> None:
    """Checks that the mark of an archive's end follows the last member.

    `tarfile` takes a damaged or cut header for the end.

    Raises:
        TarError: it does not.
    """
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.TarError(
            f"damaged or cut off before byte {archive.offset}"
        )


def _tar_members(
    path: str, size: int
) -> Iterator[tuple[str, int, int] | Rejection]:
    """Yields (name, offset, bytes); a broken archive ends in a Rejection."""
    try:
        with (
            storage.open_read(path) as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):
            for member in archive:
                if member.offset_data + member.size > size:
                    break
                if member.isfile() and not storage.is_hidden(member.name):
                    yield member.name, member.offset_data, member.size
            _check_end(file, archive)
    except (tarfile.TarError, OSError, EOFError) as error:
        # What was read before the break is good and already handed on.
        yield Rejection(Reason.UNREADABLE_ARCHIVE, path, str(error), path)


class ImageFolders:
    """Folders in which images lie, by relative path.

    A URL's image lies in the first folder, as `download_name` says. A name
    is looked for in the listings of all folders, if there are several;
    whether an image is there at all shows when it is read. A name that
    several folders have with other sizes is refused: which image it means
    is unknown.

    Args:
        folders: at least one.
    """

    def __init__(self, folders: Sequence[str]):
        self._folders = [os.path.join(folder, "") for folder in folders]

    def match(self, name: str) -> str:
        """Returns the path of an image that a tool names as it saw the disk.

        That is the path itself if the image is there, else that of the image
        with the longest matching end; without one it is missing under the
        path. What is a relative path is returned as it is.

        Raises:
            ValueError: several images match equally well.
        """
        name = without_scheme(name)
        relative = is_inside(name) and not _WHOLE.match(name)
        if is_url(name) or (relative and "%" not in name):
            return name
        plain = plain_path(name)
        for spelled in (plain, unquote(plain)):
            if is_inside(spelled) and any(
                _exists(folder, spelled) for folder in self._folders
            ):
                return spelled
        if relative or not is_inside(plain):
            return name
        return self._longest_end(unquote(plain)) or plain

    def moved(self, path: str) -> str | None:
        """Returns the image here that has the longest end of a whole path.

        None if there is none; raises as `match`.
        """
        name = self.match(path)
        there = any(_exists(folder, name) for folder in self._folders)
        return name if there else None

    def _longest_end(self, path: str) -> str | None:
        parts = path.split("/")[::-1]
        found: dict[str, int] = {}
        for folder in self._folders:
            for image in _by_file_name(folder).get(parts[0], ()):
                pairs = zip(image.split("/")[::-1], parts, strict=False)
                same = itertools.takewhile(
                    lambda pair: pair[0] == pair[1], pairs
                )
                found[image] = len(list(same))
        best = max(found.values(), default=0)
        images = sorted(i for i, length in found.items() if length == best)
        if len(images) > 1:
            raise ValueError(
                f"{path[:200]!r} may be {images[0]} or {images[1]}"
            )
        return images[0] if images else None

    def complete(self, name: str) -> str:
        """Returns the path of an image that is named without its suffix.

        Any other name is returned as it is.

        Raises:
            ValueError: several images have that name.
        """
        suffix = os.path.splitext(name)[1].lower()
        if suffix in SUFFIXES or is_url(name):
            return name
        if any(name in _sizes_in(folder) for folder in self._folders):
            return name
        stem = path_id(name)
        found = {with_suffix(folder, stem) for folder in self._folders}
        names = sorted(image for image in found if image)
        if len(names) > 1:
            raise ValueError(f"{name[:200]!r} is {' and '.join(names)}")
        return names[0] if names else name

    def find(self, name: str) -> ImageRef:
        """Returns where the image of a URL or relative path lies.

        Raises:
            ValueError: several folders have another one of that name.
        """
        if is_url(name):
            return ImageRef(self._folders[0] + download_name(name))
        if len(self._folders) == 1:
            return ImageRef(self._folders[0] + name)
        sizes = {
            folder: _sizes_in(folder)[name]
            for folder in self._folders
            if name in _sizes_in(folder)
        }
        if len(set(sizes.values())) > 1:
            raise ValueError(
                f"{name[:200]!r} lies in {' and in '.join(sizes)}: build each "
                "source with its own --images, or name the folder in the path"
            )
        return ImageRef(next(iter(sizes), self._folders[0]) + name)


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


class ListedFolder(NamedTuple):
    """What a folder of images is now.

    Attributes:
        digest: of names, sizes and, locally, times.
        files: how many.
        size: bytes.
        others: how many, by suffix, that are named as no image.
    """

    digest: str
    files: int
    size: int
    others: Mapping[str, int] = {}


def list_folder(folder: str, without: str = "") -> ListedFolder:
    """Lists a folder of images.

    Folders of data sets and texts, as logs, do not count: jobs write them
    beside the images.

    Args:
        folder: local, or of an object store.
        without: a folder below it that does not count.
    """
    digest, files, size = hashlib.sha256(), 0, 0
    others: list[str] = []
    for name, length, time in _listed(folder, os.path.abspath(without)):
        suffix = os.path.splitext(name)[1].lower()
        if suffix not in TEXTS:
            # Downloads have no suffix.
            others += [name] * (suffix not in (*SUFFIXES, ""))
            digest.update(
                f"{name}\t{length}\t{time}\n".encode(errors="replace")
            )
            files, size = files + 1, size + length
    return ListedFolder(digest.hexdigest(), files, size, count_suffixes(others))


def count_suffixes(paths: Iterable[str]) -> dict[str, int]:
    """Returns how many paths have each suffix, in small letters.

    Example:
        >>> count_suffixes(["a/b.TXT", "c.txt", "d"])
        {'.txt': 2, 'no suffix': 1}
    """
    found = Counter(
        os.path.splitext(path)[1].lower() or "no suffix" for path in paths
    )
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


TEXTS = frozenset(
    {".csv", ".html", ".json", ".jsonl", ".log", ".tsv", ".txt", ".xml"}
)
_DATASET_MARK = "manifest.json"


def _listed(folder: str, without: str) -> Iterator[tuple[str, int, int]]:
    if storage.is_remote(folder):
        pattern = storage.join(storage.escape(folder), "**")
        yield from ((n, size, 0) for n, size in storage.list_files(pattern))
        return
    with os.scandir(folder) as found:
        entries = sorted(
            (e for e in found if not e.name.startswith(".")),
            key=lambda entry: entry.name,
        )
    if any(entry.name == _DATASET_MARK for entry in entries):
        return
    for entry in entries:
        if entry.is_dir():
            if os.path.abspath(entry.path) != without:
                yield from _listed(entry.path, without)
        elif entry.is_file():
            known = entry.stat()
            yield entry.path, known.st_size, known.st_mtime_ns


@functools.lru_cache(maxsize=8)
def _sizes_in(folder: str) -> dict[str, int]:
    """Lists a folder once per process: bytes by name."""
    found = storage.list_files(storage.escape(folder) + "**")
    return {path[len(folder) :]: size for path, size in found}


def _exists(folder: str, name: str) -> bool:
    if storage.is_remote(folder):
        return name in _sizes_in(folder)
    return os.path.isfile(folder + name)


@functools.lru_cache(maxsize=8)
def _by_file_name(folder: str) -> dict[str, list[str]]:
    """Lists a folder once per process: paths in it by their last part."""
    names: dict[str, list[str]] = {}
    for name in _sizes_in(folder):
        names.setdefault(name.rpartition("/")[2], []).append(name)
    return names


@functools.lru_cache(maxsize=8)
def names_by_stem(folder: str) -> dict[str, list[str]]:
    """Lists a folder's images once per process, by path less suffix.

    Args:
        folder: with / at its end.
    """
    stems: dict[str, list[str]] = {}
    for name in _sizes_in(folder):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in SUFFIXES:
            stems.setdefault(stem, []).append(name)
    return stems


def with_suffix(folder: str, stem: str) -> str | None:
    """Returns the one image of a folder with this path less suffix, if any.

    Raises:
        ValueError: there are several.
    """
    found = names_by_stem(os.path.join(folder, "")).get(stem, [])
    if len(found) > 1:
        raise ValueError(f"{stem[:200]!r} is {' and '.join(sorted(found))}")
    return found[0] if found else None


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


def is_url(text: str) -> bool:
    """Tells whether a text is a web address."""
    return text[:8].lower().startswith(("http://", "https://"))
