"""Image files, tar archives and folders of them: what is in."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from beam_jobs.files import storage
from beam_jobs.images.image_names import (
    SUFFIXES,
    TEXTS,
    count_suffixes,
    suffix_of,
)
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.rejections import Reason, Rejection

ARCHIVE = ".tar"
_DATASET_MARK = "manifest.json"


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
        suffix = suffix_of(name)
        if suffix not in TEXTS:
            # Downloads have no suffix.
            others += [name] * (suffix not in (*SUFFIXES, ""))
            digest.update(
                f"{name}\t{length}\t{time}\n".encode(errors="replace")
            )
            files, size = files + 1, size + length
    return ListedFolder(digest.hexdigest(), files, size, count_suffixes(others))


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
