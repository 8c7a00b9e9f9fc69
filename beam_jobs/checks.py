"""Checks that need no framework: they answer before one is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from beam_jobs.errors import InputError


def check_folder(folder: str, what: str) -> None:
    """Checks that a local folder exists; remote ones show when listed.

    Raises:
        InputError: it does not, or is a file.
    """
    if "://" not in folder and not os.path.isdir(folder):
        raise InputError(f"{what}: no such folder: {folder}")


def check_sources(imagenet: Iterable[str], open_images: Iterable[str]) -> None:
    """Checks that there is a source, and that every local one exists.

    Raises:
        InputError: none given, or one that is missing.
    """
    imagenet, open_images = list(imagenet), list(open_images)
    if not imagenet and not open_images:
        raise InputError(
            "nothing to read: name a source with --imagenet FOLDER or "
            "--open-images FOLDER"
        )
    for folder in imagenet:
        check_folder(folder, "ImageNet source")
    for folder in open_images:
        check_folder(folder, "Open Images source")


def check_output_folder(folder: str | os.PathLike[str]) -> None:
    """Checks that a folder can be made here.

    Raises:
        InputError: a part of its path is a file, or it is a remote address.
    """
    if "://" in os.fspath(folder):
        raise InputError(
            "the output must be a folder of this machine's file systems "
            f"(local or mounted); received: {folder}"
        )
    path = Path(folder).absolute()
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise InputError(f"{part} is a file; a folder is needed")
