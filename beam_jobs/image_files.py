"""Image files and tar archives of them: what they are called, what is in."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from beam_jobs import files
from beam_jobs.annotations import ImageRef, Reason, Rejection

ARCHIVE = ".tar"
SUFFIXES = (
    ".bmp",
    ".gif",
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
            files.open_binary(path) as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):
            for member in archive:
                if member.offset_data + member.size > size:
                    break
                if member.isfile():
                    yield member.name, member.offset_data, member.size
            _check_end(file, archive)
    except (tarfile.TarError, OSError, EOFError) as error:
        # What was read before the break is good and already handed on.
        yield Rejection(Reason.UNREADABLE_ARCHIVE, path, str(error), path)
