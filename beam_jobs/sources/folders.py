"""Reader of a folder a class, as Keras, torchvision and Hugging Face read it.

Hugging Face's table beside the images, `metadata.csv`, `.jsonl` or `.parquet`,
goes before the folders: https://huggingface.co/docs/datasets/image_dataset
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from beam_jobs import split_names
from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_folder
from beam_jobs.images.find_images import (
    SUFFIXES,
    TEXTS,
    count_suffixes,
    path_id,
)
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
from beam_jobs.sources import csv_tables, parquet
from beam_jobs.sources.cells import CLASS_NAMES, LABEL_SEPARATOR, class_key
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    NoColumnsError,
)
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

_TEXTS = TEXTS | {".parquet"}
_TABLES = {
    "metadata.csv": csv_tables.find,
    "metadata.jsonl": csv_tables.find,
    "metadata.parquet": parquet.find,
}


def find(folder: str, context: Context) -> Found:
    """Finds the images of a folder, at any depth.

    The last folder of an image is its class, or the one that is a WordNet id;
    where a table with labels lies in it or above, the table says the classes.
    Folders train/, val/, test/ and so on above classes are a split.

    Raises:
        InputError: no such folder, or no image in a class folder.
    """
    check_folder(folder, "image folders")
    base = os.path.join(folder, "")
    listed = storage.list_files(storage.escape(base) + "**")
    tables, said = _find_tables(base, [path for path, _ in listed], context)
    told = [os.path.dirname(table.parts[0].path) for table in tables]
    images = [path for path, _ in listed if _suffix(path) in SUFFIXES]
    above = [_folders_of(path, base) for path in images]
    splits = sorted(
        {n for f in above for n in f[:-1] if n.lower() in split_names.FOLDERS}
    )
    classes = {
        _class_of(_folders_of(path, base), bool(splits))
        for path in images
        if not _is_told(path, told)
    } - {None}
    names = {n for n in classes if n and n.lower() not in split_names.FOLDERS}
    # YOLO's images lie in one folder, their labels in another.
    if not names - {"images"} and not tables:
        if any("/labels/" in path[len(base) - 1 :] for path, _ in listed):
            said.append(f"YOLO's images/ and labels/: --yolo {folder}")
        raise InputError(
            f"{folder}: no folder a class: images as "
            f"{os.path.join(folder, 'dog', '1.jpg')} or "
            f"{os.path.join(folder, 'train', 'dog', '1.jpg')}, or a table "
            "metadata.csv, .jsonl or .parquet with file_name and label, are "
            "needed" + "".join(f"; {note}" for note in said)
        )
    # What else lies among the images of a class is said to be none.
    found = [
        (path, size)
        for path, size in listed
        if _suffix(path) in SUFFIXES
        or (_suffix(path) not in _TEXTS and _folders_of(path, base))
    ]
    known = {path for path, _ in found}
    options = context.part_options(("folder", base))
    options += [("told", path) for path in dict.fromkeys(told)]
    if splits:
        options.append(("splits", "yes"))
    if splits and not context.keep_splits:
        said.append(
            f"{folder}: its split ({', '.join(splits)}) is not used: the "
            "images are split anew; --splits source keeps it"
        )
    parts = [part for table in tables for part in table.parts]
    return Found(
        [*group_files("folders", found, options), *parts],
        images=len(found),
        wnids=tuple(
            sorted(n for n in classes if n and WNID_PATTERN.fullmatch(n))
        ),
        notes=(*said, *(note for table in tables for note in table.notes)),
        passed_over=count_suffixes(
            path
            for path, _ in listed
            if path not in known and os.path.basename(path) not in _TABLES
        ),
        has_splits=bool(splits) or any(table.has_splits for table in tables),
    )


def _find_tables(
    base: str, paths: list[str], context: Context
) -> tuple[list[Found], list[str]]:
    """Returns the tables with labels; says why others are not read."""
    found: list[Found] = []
    said: list[str] = []
    for path in paths:
        find_table = _TABLES.get(os.path.basename(path))
        if find_table is None:
            continue
        folder = os.path.dirname(path)
        below = os.path.relpath(folder, base.rstrip("/") or "/")
        own = (("images", folder), ("kind", "folders"))
        options = (*context.options, *own, ("below", os.path.normpath(below)))
        try:
            found.append(find_table(path, replace(context, options=options)))
        except NoColumnsError as error:
            said.append(f"folders are the classes: {error}")
    return found, said


def _is_told(path: str, folders: Iterable[str]) -> bool:
    """Tells whether an image lies below one of some folders."""
    return any(path.startswith(os.path.join(f, "")) for f in folders)


def read(part: Part) -> Read:
    """Yields the images; one that lies in no class folder has no class."""
    base = part.option("folder") or ""
    has_splits = part.option("splits") is not None
    labels_only = part.option("labels_only") is not None
    told = part.values("told")
    for path, size in part.files:
        name = _class_of(_folders_of(path, base), has_splits)
        if _is_told(path, told):
            name = None
        keys = (class_key(name, "folders"),) if name else ()
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


READER = Reader(
    SourceOption(
        "folders",
        "image folders",
        "Folder with a folder of images a class, below train/ and so on or "
        "not; or with metadata.csv beside its images.",
        check_folder,
    ),
    find,
    read,
    takes=(IMAGE_COLUMN, LABEL_COLUMN, LABEL_SEPARATOR, CLASS_NAMES),
    keys_hold_names=True,
)
