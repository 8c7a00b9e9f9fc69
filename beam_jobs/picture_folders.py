"""Where the pictures lie that lists and tables name."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

from beam_jobs import files
from beam_jobs.annotations import ImageRef
from beam_jobs.url_names import download_name, is_url


class PictureFolders:
    """Folders in which pictures lie, by relative path.

    A URL's picture lies in the first folder, as `download_name` says. A name
    is looked for in the listings of all folders, if there are several;
    whether a picture is there at all shows when it is read.

    Args:
        folders: at least one.
    """

    def __init__(self, folders: Sequence[str]):
        self._folders = [os.path.join(folder, "") for folder in folders]

    def find(self, name: str) -> ImageRef:
        """Returns where the picture of a URL or relative path lies."""
        if is_url(name):
            return ImageRef(self._folders[0] + download_name(name))
        if len(self._folders) > 1:
            for folder in self._folders:
                if name in _names_in(folder):
                    return ImageRef(folder + name)
        return ImageRef(self._folders[0] + name)


def is_inside(name: str) -> bool:
    """Tells whether a name is a path that stays within its folder."""
    if name.startswith("/") or "\\" in name or not name:
        return False
    return ".." not in name or ".." not in name.split("/")


@functools.lru_cache(maxsize=8)
def _names_in(folder: str) -> frozenset[str]:
    """Lists a folder once per process."""
    found = files.list_files(folder + "**")
    return frozenset(path[len(folder) :] for path, _ in found)
