"""What a bulk job reads, cut into shards: what becomes a file of answers.

A shard is a few hundred images, cut from the sorted listing of a source
alone. Its images, their batches and its file of answers are therefore the
same on every runner and with any number of workers.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import is_pattern
from beam_jobs.images import find_images, image_names
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.rejections import Rejection
from beam_jobs.sources.reader import Part, group_files

IMAGES, ARCHIVE, RECORDS = "images", "archive", "records"

_RECORD_SUFFIX = ".tfrecord"
# Shards are cut by number; bytes are counted where images are read.
_ANY_BYTES = 1 << 62


@dataclass(frozen=True)
class Found:
    """The listing of all sources.

    Attributes:
        parts: numbered by their place, the same for the same files.
        listing: (path, bytes) of every file that is read, sorted.
        left_out: files of folders without the ending of an image.
    """

    parts: tuple[Part, ...]
    listing: tuple[tuple[str, int], ...]
    left_out: int


@dataclass(frozen=True)
class Shard:
    """What one worker tags; it becomes one file of answers.

    Attributes:
        name: unique, and sorted as the sources are.
        images: (name, place) of image files or members of a tar.
        rejections: of a tar that is broken.
        records: path of a TFRecord file, instead of `images`.
    """

    name: str
    images: tuple[tuple[str, ImageRef], ...] = ()
    rejections: tuple[Rejection, ...] = ()
    records: str = ""


def find_parts(sources: Sequence[str], images_per_file: int) -> Found:
    """Lists all sources; a file that two of them name is read once.

    Raises:
        InputError: a source that is not there, or has no image.
    """
    parts: list[Part] = []
    seen: set[str] = set()
    left_out = 0
    for source in sources:
        found, others = _list_source(source)
        left_out += others
        new = [file for file in found if file[0] not in seen]
        seen.update(path for path, _ in new)
        for kind, named in itertools.groupby(new, lambda f: _kind(f[0])):
            # An archive or a TFRecord file is a part by itself.
            most = images_per_file if kind == IMAGES else 1
            parts += group_files(kind, named, (), _ANY_BYTES, most)
    listing = sorted(file for part in parts for file in part.files)
    return Found(tuple(parts), tuple(listing), left_out)


def cut_part(number: int, part: Part, images_per_file: int) -> Iterator[Shard]:
    """Yields the shards of a part; at least one, and be it empty."""
    prefix = f"{number:05d}"
    if part.reader == RECORDS:
        yield Shard(f"{prefix}-00000", records=part.path)
        return
    images: list[tuple[str, ImageRef]] = []
    rejections: list[Rejection] = []
    cut = 0
    for item in _list_part(part):
        if isinstance(item, Rejection):
            rejections.append(item)
            continue
        if len(images) == images_per_file:
            yield Shard(f"{prefix}-{cut:05d}", tuple(images))
            images, cut = [], cut + 1
        images.append(item)
    yield Shard(f"{prefix}-{cut:05d}", tuple(images), tuple(rejections))


def _list_part(part: Part) -> Iterator[tuple[str, ImageRef] | Rejection]:
    """Yields images by the name that their rows have."""
    for path, size in part.files:
        for item in find_images.list_images(path, size):
            if part.reader == IMAGES or isinstance(item, Rejection):
                yield item
            elif item[0].lower().endswith(image_names.SUFFIXES):
                yield f"{path}/{item[0]}", item[1]


def _kind(path: str) -> str:
    if path.endswith(_RECORD_SUFFIX):
        return RECORDS
    return ARCHIVE if path.endswith(find_images.ARCHIVE) else IMAGES


def _list_source(source: str) -> tuple[list[tuple[str, int]], int]:
    """Returns the files to read, and how many others there are."""
    storage.check(source)
    if storage.exists(storage.join(source, dataset_folder.MANIFEST)):
        return _list_dataset(source), 0
    if is_pattern(source):
        found, named = storage.list_files(source), True
    elif _is_folder(source):
        pattern = storage.join(storage.escape(source), "**")
        found, named = storage.list_files(pattern), False
    else:
        found, named = storage.list_files(storage.escape(source)), True
    # What was named itself is tried, whatever its ending.
    wanted = [file for file in found if named or _is_wanted(file[0])]
    if not wanted:
        endings = ", ".join((*image_names.SUFFIXES, find_images.ARCHIVE))
        raise InputError(
            f"{source}: no image there; folders are searched for {endings} "
            f"and {_RECORD_SUFFIX}"
        )
    return wanted, len(found) - len(wanted)


def _list_dataset(folder: str) -> list[tuple[str, int]]:
    """Returns the shards of all splits."""
    dataset_folder.check_shards(folder)
    found: list[tuple[str, int]] = []
    for split in dataset_folder.SPLITS:
        name = f"{split}-*{_RECORD_SUFFIX}"
        found += storage.list_files(
            storage.join(storage.escape(folder), split, name)
        )
    if not found:
        raise InputError(
            f"{folder} holds a {dataset_folder.MANIFEST} but no records: no "
            "data set of `tagforest dataset`; name the folder or the files "
            "themselves"
        )
    return found


def _is_wanted(path: str) -> bool:
    return _kind(path) != IMAGES or path.lower().endswith(image_names.SUFFIXES)


def _is_folder(source: str) -> bool:
    # Object stores have no folders to ask for: the name tells.
    if storage.is_remote(source):
        return not _has_known_ending(source)
    return os.path.isdir(source)


def _has_known_ending(path: str) -> bool:
    endings = (*image_names.SUFFIXES, find_images.ARCHIVE, _RECORD_SUFFIX)
    return path.lower().endswith(endings)
