"""Checks that need no framework: they answer before one is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from beam_jobs import storage
from beam_jobs.errors import InputError

_FOLDERS = {
    "imagenet": "ImageNet source",
    "open_images": "Open Images source",
    "voc": "Pascal VOC source",
}
_FILES = {
    "imagenet_lists": "ImageNet list",
    "tencent_lists": "Tencent list",
    "tencent_records": "Tencent records",
    "coco": "COCO source",
    "csv": "CSV source",
}


@dataclass(frozen=True)
class SourcePaths:
    """What the user named to read.

    Attributes:
        imagenet: folders with `<wnid>.tar` files or `<wnid>/` folders.
        imagenet_lists: list files, `n01443537/n01443537_2.JPEG` a line.
        open_images: folders with the published CSVs, and `images/`.
        tencent_lists: list files, a file name or URL and
            `class:confidence` tokens a line.
        tencent_records: files, folders or patterns of the original TFRecords.
        coco: JSON files of instances.
        voc: folders with `Annotations/` and `JPEGImages/`.
        csv: tables with an image and a label column.
        images: folders of the pictures that lists, COCO and CSVs name.
        dictionary: the published dictionary, class index to WordNet id.
    """

    imagenet: tuple[str, ...] = ()
    imagenet_lists: tuple[str, ...] = ()
    open_images: tuple[str, ...] = ()
    tencent_lists: tuple[str, ...] = ()
    tencent_records: tuple[str, ...] = ()
    coco: tuple[str, ...] = ()
    voc: tuple[str, ...] = ()
    csv: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    dictionary: str | None = None


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


def check_sources(paths: Mapping[str, str | Iterable[str] | None]) -> None:
    """Checks that there is a source, and that every local one exists.

    Args:
        paths: what the user named, by the attribute of `SourcePaths`;
            attributes may be left out.

    Raises:
        InputError: none given, or one that is missing.
    """
    named = {kind: _listed(paths.get(kind)) for kind in _FOLDERS | _FILES}
    if not any(named.values()):
        raise InputError(
            "nothing to read: name a source with --imagenet FOLDER or "
            f"--open-images FOLDER, or with {_others()}"
        )
    for kind, what in (_FOLDERS | {"images": "images"}).items():
        for folder in _listed(paths.get(kind)):
            check_folder(folder, what)
    for kind, what in (_FILES | {"dictionary": "dictionary"}).items():
        for path in _listed(paths.get(kind)):
            check_file(path, what)


def _listed(value: str | Iterable[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _others() -> str:
    names = [*_FILES, "voc"]
    return ", ".join("--" + name.replace("_", "-") for name in names)


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
