"""Checks that need no framework: they answer before one is loaded."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from pathlib import Path

from beam_jobs.errors import InputError
from beam_jobs.files import storage

# White space around JSON is seldom more.
_ENDS_BYTES = 64


def check_folder(folder: str, what: str) -> None:
    """Checks that a local folder exists; remote ones show when listed.

    Raises:
        InputError: it does not, or is a file.
    """
    if "://" not in folder and not os.path.isdir(folder):
        raise InputError(f"{what}: no such folder: {folder}")


def check_file(path: str, what: str) -> None:
    """Checks that a local file exists; patterns and remote ones show later.

    Raises:
        InputError: it does not.
    """
    if "://" in path or any(letter in path for letter in "*?["):
        return
    if not os.path.exists(path):
        raise InputError(f"{what}: no such file: {path}")


def check_json(path: str, ends: str, needed: str) -> tuple[str, int]:
    """Checks that a file starts and ends as its JSON does; reads no more.

    Args:
        path: of the file.
        ends: "{}" or "[]".
        needed: says what is needed, for the refusal.

    Returns:
        Path and bytes.

    Raises:
        InputError: it does not, or there is none.
    """
    path, size = storage.find_file(path)
    with storage.open_read(path) as file:
        head = file.read(_ENDS_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()
        file.seek(max(0, size - _ENDS_BYTES))
        tail = file.read().rstrip()
    start, end = ends[0], ends[-1]
    if not (head.startswith(start.encode()) and tail.endswith(end.encode())):
        raise InputError(
            f"{path}: {needed}; the file does not start with {start!r} and "
            f"end with {end!r}"
        )
    return path, size


def check_output_folder(folder: str | os.PathLike[str]) -> None:
    """Checks that a folder can be made here.

    Raises:
        InputError: a part of its path is a file, or it is the address of an
            object store that cannot be used here.
    """
    if storage.is_remote(folder):
        storage.check(folder)
        return
    path = Path(folder).absolute()
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise InputError(f"{part} is a file; a folder is needed")


def check_output_file(path: str | os.PathLike[str]) -> None:
    """Checks that a file can be written here.

    Raises:
        InputError: it is a folder, a part of its path is a file, its folder
            may not be written, or as `check_output_folder`.
    """
    check_output_folder(os.path.dirname(path) or ".")
    if storage.is_remote(path):
        return
    if os.path.isdir(path):
        raise InputError(f"{os.fspath(path)} is a folder; a file is needed")
    folder = Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        raise InputError(f"{folder} cannot be written")


_WILDCARDS = "*?["


def check_named(sources: Iterable[str]) -> None:
    """Checks, before anything heavy is imported, that local ones are there.

    Raises:
        InputError: one is not.
    """
    for source in sources:
        if storage.is_remote(source) or os.path.exists(source):
            continue
        if not is_pattern(source):
            raise InputError(f"no such file or folder: {source}")
        if not storage.list_files(source):
            raise InputError(f"nothing matches {source}")


def is_pattern(source: str) -> bool:
    """Tells whether a source is a pattern of paths, not a path."""
    local = not storage.is_remote(source) and os.path.exists(source)
    return not local and any(letter in source for letter in _WILDCARDS)
