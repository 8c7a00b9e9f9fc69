"""Folders of images: where lies the one that an annotation names."""

from __future__ import annotations

import functools
import itertools
import os
import re
from collections.abc import Sequence
from urllib.parse import unquote

from beam_jobs.files import storage
from beam_jobs.images.image_names import (
    download_name,
    is_image_name,
    is_inside,
    is_url,
    path_id,
    plain_path,
    without_scheme,
)
from beam_jobs.images.image_ref import ImageRef

_WHOLE = re.compile(r"~/|[A-Za-z]:/")


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
        if is_image_name(name) or is_url(name):
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

    def downloaded(self, url: str) -> ImageRef | None:
        """Returns where a URL's image lies, if it is in one of the folders."""
        name = download_name(url)
        for folder in self._folders:
            if _exists(folder, name):
                return ImageRef(folder + name)
        return None


def with_suffix(folder: str, stem: str) -> str | None:
    """Returns the one image of a folder with this path less suffix, if any.

    Raises:
        ValueError: there are several.
    """
    found = names_by_stem(os.path.join(folder, "")).get(stem, [])
    if len(found) > 1:
        raise ValueError(f"{stem[:200]!r} is {' and '.join(sorted(found))}")
    return found[0] if found else None


@functools.lru_cache(maxsize=8)
def names_by_stem(folder: str) -> dict[str, list[str]]:
    """Lists a folder's images once per process, by path less suffix.

    Args:
        folder: with / at its end.
    """
    stems: dict[str, list[str]] = {}
    for name in _sizes_in(folder):
        if is_image_name(name):
            stems.setdefault(os.path.splitext(name)[0], []).append(name)
    return stems


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
