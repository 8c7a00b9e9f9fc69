"""Reader of ImageNet-style sources: one tar or one folder per synset."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from beam_jobs import files
from beam_jobs.annotations import (
    AnnotatedImage,
    Annotation,
    ImageRef,
    Reason,
    Rejection,
)
from beam_jobs.checks import check_folder
from beam_jobs.errors import InputError
from beam_jobs.records import Source

_WNID_IN_PATH = re.compile(r"(?:^|/)(n\d{8})(?:\.tar$|/)")
_NESTINGS = ("*", "*/*", "*/*/*", "*/*/*/*")
_IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".gif", ".bmp", ".webp", ".tiff")


def find_synsets(folder: str) -> dict[str, list[tuple[str, int]]]:
    """Returns the files of every synset: wnid -> (path, bytes), sorted.

    A synset is a tar named `<wnid>.tar`, or image files in a folder named
    `<wnid>` (at any depth down to four), as ImageNet and Tiny ImageNet are
    handed out.

    Raises:
        InputError: no such folder, or nothing of the kind in it.
    """
    check_folder(folder, "ImageNet source")
    synsets: dict[str, list[tuple[str, int]]] = {}
    patterns = [os.path.join(folder, nesting) for nesting in _NESTINGS]
    for path, size in files.list_files(*patterns):
        match = _WNID_IN_PATH.search(path[len(folder) :])
        suffix = PurePosixPath(path).suffix.lower()
        if match and (suffix == ".tar" or suffix in _IMAGE_SUFFIXES):
            synsets.setdefault(match[1], []).append((path, size))
    if not synsets:
        raise InputError(
            f"{folder}: no ImageNet images: files `<wnid>.tar` or folders "
            "`<wnid>/` with images are needed, as n01443537.tar"
        )
    return dict(sorted(synsets.items()))


def read_synset_file(
    wnid: str, path: str, size: int
) -> Iterator[AnnotatedImage | Rejection]:
    """Yields the images of one tar, or the one image of an image file."""
    annotations = (Annotation(wnid, 1.0, Source.IMAGENET),)
    if not path.endswith(".tar"):
        ref = ImageRef(path, 0, size)
        yield AnnotatedImage(_image_id(path), ref, annotations)
        return
    for item in _tar_members(path):
        if isinstance(item, Rejection):
            yield item
        else:
            name, offset, length = item
            ref = ImageRef(path, offset, length)
            yield AnnotatedImage(_image_id(name), ref, annotations)


def _tar_members(path: str) -> Iterator[tuple[str, int, int] | Rejection]:
    """Yields (name, offset, bytes); a broken archive ends in a Rejection."""
    try:
        with (
            files.open_binary(path) as file,
            tarfile.open(fileobj=file, mode="r:") as archive,
        ):
            for member in archive:
                if member.isfile():
                    yield member.name, member.offset_data, member.size
    except (tarfile.TarError, OSError, EOFError) as error:
        # What was read before the break is good and already handed on.
        yield Rejection(Reason.UNREADABLE_ARCHIVE, path, str(error), path)


def _image_id(name: str) -> str:
    return f"imagenet/{PurePosixPath(name).stem}"
