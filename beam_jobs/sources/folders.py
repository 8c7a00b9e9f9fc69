"""Reader of a folder a class, as Keras, torchvision and Hugging Face read it.

Hugging Face's table beside the images, `metadata.csv`, `.jsonl` or `.parquet`,
goes before the folders: https://huggingface.co/docs/datasets/image_dataset
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from beam_jobs import split_names
from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_folder
from beam_jobs.images.image_names import (
    TEXTS,
    count_suffixes,
    is_image_name,
    suffix_of,
)
from beam_jobs.labels.ledger import Source
from beam_jobs.sources import captions, csv_tables, parquet
from beam_jobs.sources.cells import CLASS_NAMES, LABEL_SEPARATOR, class_key
from beam_jobs.sources.csv_columns import (
    IMAGE_COLUMN,
    LABEL_COLUMN,
    NoColumnsError,
)
from beam_jobs.sources.reader import (
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    group_files,
    image_in_file,
)

_TEXTS = TEXTS | {".parquet"}
_TABLES = {
    "metadata.csv": (csv_tables.find, captions.find),
    "metadata.jsonl": (csv_tables.find, captions.find),
    "metadata.parquet": (parquet.find, parquet.find_captions),
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
    tables = _find_tables(base, [path for path, _ in listed], context)
    told = [os.path.dirname(table.parts[0].path) for table in tables.labels]
    images = [path for path, _ in listed if is_image_name(path)]
    splits = _splits_in(_folders_of(path, base) for path in images)
    untold = [path for path in images if not _is_told(path, told)]
    classes = _classes_of(untold, base, bool(splits))
    if not classes:
        if not tables.found:
            raise _no_classes(folder, [path for path, _ in listed], tables)
        told = [folder]
    found = [file for file in listed if _is_read(file[0], base)]
    options = context.part_options(("folder", base))
    options += [("told", path) for path in dict.fromkeys(told)]
    if splits:
        options.append(("splits", "yes"))
    if splits and not context.keep_splits:
        tables.notes.append(
            f"{folder}: its split ({', '.join(splits)}) is not used: the "
            "images are split anew; --splits source keeps it"
        )
    parts = [part for table in tables.found for part in table.parts]
    return Found(
        [*group_files("folders", found, options), *parts],
        images=len(found),
        wnids=tuple(sorted(filter(WNID_PATTERN.fullmatch, classes))),
        notes=(*tables.notes, *(n for t in tables.found for n in t.notes)),
        passed_over=count_suffixes(
            path
            for path, _ in listed
            if not _is_read(path, base)
            and os.path.basename(path) not in _TABLES
        ),
        has_splits=bool(splits) or any(t.has_splits for t in tables.found),
    )


def _classes_of(paths: Iterable[str], base: str, has_splits: bool) -> set[str]:
    """Returns the classes that the folders of images are; {} if none is one.

    YOLO's images lie in one folder, their labels in another.
    """
    found = {_class_of(_folders_of(path, base), has_splits) for path in paths}
    classes = {name for name in found if name}
    names = {n for n in classes if n.lower() not in split_names.FOLDERS}
    return classes if names - {"images"} else set()


def _splits_in(folders: Iterable[list[str]]) -> list[str]:
    names = {name for above in folders for name in above[:-1]}
    return sorted(n for n in names if n.lower() in split_names.FOLDERS)


def _is_read(path: str, base: str) -> bool:
    """Tells whether a file is checked: an image, or what is said to be none.

    The latter lies among the images of a class and is no text.
    """
    among = bool(_folders_of(path, base))
    return is_image_name(path) or (among and suffix_of(path) not in _TEXTS)


def _no_classes(folder: str, paths: list[str], tables: _Tables) -> InputError:
    """Returns the refusal of a folder that says no classes."""
    notes = list(tables.notes)
    if any("/labels/" in path[len(folder) :] for path in paths):
        notes.append(f"YOLO's images/ and labels/: --yolo {folder}")
    return InputError(
        f"{folder}: no folder a class: images as "
        f"{os.path.join(folder, 'dog', '1.jpg')} or "
        f"{os.path.join(folder, 'train', 'dog', '1.jpg')}, or a table "
        "metadata.csv, .jsonl or .parquet with file_name and label, are "
        "needed" + "".join(f"; {note}" for note in notes)
    )


@dataclass
class _Tables:
    """Tables beside the images.

    Attributes:
        labels, captions: with such a column.
        notes: what else was found.
    """

    labels: list[Found] = field(default_factory=list)
    captions: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def found(self) -> list[Found]:
        """All that are read."""
        return self.labels + self.captions


def _find_tables(base: str, paths: list[str], context: Context) -> _Tables:
    """Finds tables; one without labels may have captions."""
    tables = _Tables()
    for path in paths:
        if os.path.basename(path) not in _TABLES:
            continue
        find_labels, find_captions = _TABLES[os.path.basename(path)]
        folder = os.path.dirname(path)
        below = os.path.relpath(folder, base.rstrip("/") or "/")
        own = (("images", folder), ("kind", "folders"))
        options = (*context.options, *own, ("below", os.path.normpath(below)))
        inner = replace(context, options=options)
        try:
            tables.labels.append(find_labels(path, inner))
        except NoColumnsError as error:
            try:
                tables.captions.append(find_captions(path, inner))
                tables.notes.append(captions.note(path))
            except NoColumnsError:
                tables.notes.append(f"folders are the classes: {error}")
    return tables


def _is_told(path: str, folders: Iterable[str]) -> bool:
    """Tells whether an image lies below one of some folders."""
    return any(path.startswith(os.path.join(f, "")) for f in folders)


def read(part: Part) -> Read:
    """Yields the images; one that lies in no class folder has no class."""
    base = part.option("folder") or ""
    has_splits = part.option("splits") is not None
    told = part.values("told")
    for path, size in part.files:
        name = _class_of(_folders_of(path, base), has_splits)
        if _is_told(path, told):
            name = None
        keys = (class_key(name, "folders"),) if name else ()
        yield image_in_file(part, (path, size), Source.FOLDERS, keys)


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
    own_images=True,
)
