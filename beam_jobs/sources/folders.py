"""Reader of a folder a class, as Keras and torchvision read it."""

from __future__ import annotations

import os

from beam_jobs import split_names
from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_folder
from beam_jobs.images.find_images import SUFFIXES, TEXTS, path_id
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.sources.reader import (
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    group_files,
)


def find(folder: str, context: Context) -> Found:
    """Finds the images of a folder, at any depth.

    The last folder of an image is its class, or the one that is a WordNet id.
    Folders train/, val/, test/ and so on above classes are a split.

    Raises:
        InputError: no such folder, or no image in a class folder.
    """
    check_folder(folder, "image folders")
    base = os.path.join(folder, "")
    listed = storage.list_files(storage.escape(base) + "**")
    images = [path for path, _ in listed if _suffix(path) in SUFFIXES]
    above = [_folders_of(path, base) for path in images]
    splits = sorted(
        {n for f in above for n in f[:-1] if n.lower() in split_names.FOLDERS}
    )
    classes = {_class_of(folders, bool(splits)) for folders in above} - {None}
    if not {
        name
        for name in classes
        if name and name.lower() not in split_names.FOLDERS
    }:
        raise InputError(
            f"{folder}: no folder a class: images as "
            f"{os.path.join(folder, 'dog', '1.jpg')} or "
            f"{os.path.join(folder, 'train', 'dog', '1.jpg')} are needed"
        )
    # What else lies among the images of a class is said to be none.
    found = [
        (path, size)
        for path, size in listed
        if _suffix(path) in SUFFIXES
        or (_suffix(path) not in TEXTS and _folders_of(path, base))
    ]
    options = context.part_options(("folder", base))
    if splits:
        options.append(("splits", "yes"))
    return Found(
        group_files("folders", found, options),
        images=len(found),
        wnids=tuple(
            sorted(n for n in classes if n and WNID_PATTERN.fullmatch(n))
        ),
        notes=(
            f"{folder}: its split ({', '.join(splits)}) is not used: the "
            "images are split anew; --splits source keeps it",
        )
        if splits and not context.keep_splits
        else (),
        has_splits=bool(splits),
    )


def read(part: Part) -> Read:
    """Yields the images; one that lies in no class folder has no class."""
    base = part.option("folder") or ""
    has_splits = part.option("splits") is not None
    labels_only = part.option("labels_only") is not None
    for path, size in part.files:
        name = _class_of(_folders_of(path, base), has_splits)
        keys = (_class_key(name),) if name else ()
        yield AnnotatedImage(
            f"folders/{path_id(path[len(base) :])}",
            Source.FOLDERS,
            keys,
            (1.0,) * len(keys),
            None if labels_only else ImageRef(path, 0, size),
            split=part.split_of_path(path[len(base) :]),
        )


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _folders_of(path: str, base: str) -> list[str]:
    return path[len(base) :].split("/")[:-1]


def _class_of(folders: list[str], has_splits: bool) -> str | None:
    if not folders:
        return None
    wnids = [name for name in folders if WNID_PATTERN.fullmatch(name)]
    name = (wnids or folders)[-1]
    return None if has_splits and name.lower() in split_names.FOLDERS else name


def _class_key(name: str) -> str:
    return name if WNID_PATTERN.fullmatch(name) else f"folders:{name}"


READER = Reader(
    SourceOption(
        "folders",
        "image folders",
        "Folder with a folder of images a class, below train/ and so on or "
        "not.",
        check_folder,
    ),
    find,
    read,
    keys_hold_names=True,
)
