"""Looks for images that are forgotten in every file; none may be left."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from beam_jobs.dataset import records
from beam_jobs.dataset.read_records import read_batches
from beam_jobs.errors import JobFailedError
from beam_jobs.forget.feature_files import paths_in
from beam_jobs.forget.shards import Found, find_rows
from beam_jobs.runners import progress

_RECORDS = ".tfrecord"
_CHUNK = 64 << 20


class RememberedError(JobFailedError):
    """An image that should be forgotten is still there: a defect."""


def prove(folder: str, found: Found) -> None:
    """Checks every file of a folder for ids, URLs and bytes.

    Args:
        folder: of a data set, or of downloads.
        found: what must not be there.

    Raises:
        RememberedError: something is; it names file and image.
    """
    for path in files_in(folder):
        prove_file(path, found)


def files_in(folder: str) -> Iterator[str]:
    """Yields all files below a folder, hidden ones too."""
    for place, _, names in sorted(os.walk(folder)):
        yield from (os.path.join(place, name) for name in sorted(names))


def prove_file(path: str, found: Found) -> None:
    """Checks one file; records are parsed, all else is read as it is.

    Raises:
        RememberedError: something is left.
    """
    if path.endswith(_RECORDS):
        _prove_records(path, found)
        return
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        if size in found.sizes and found.has_image(file.read()):
            raise RememberedError(f"{path} is still one of the images")
        file.seek(0)
        before = b""
        while chunk := file.read(_CHUNK):
            text = found.names.find_in(before + chunk)
            if text is not None:
                raise RememberedError(f"{path} still names {text}")
            # A name may lie across two chunks.
            before = chunk[-_longest(found) :]


def _longest(found: Found) -> int:
    # A letter takes up to twelve bytes in JSON.
    return 12 * max(map(len, found.names.texts)) + 2


def _prove_records(path: str, found: Found) -> None:
    for batch in read_batches(path, 256):
        left = find_rows(batch, found.names)
        images = batch.parsed[records.IMAGE_ENCODED].numpy()
        left |= np.array([found.has_image(image) for image in images], bool)
        if left.any():
            image_id = batch.image_ids[int(np.argmax(left))]
            raise RememberedError(f"{path} still holds {image_id}")
        progress.advance(len(left))


def prove_features(path: str, found: Found) -> None:
    """Checks a file of features.

    Raises:
        RememberedError: it still has a row of an image.
    """
    paths = paths_in(path)
    marks = found.names.match_paths(paths)
    if any(marks):
        raise RememberedError(f"{path} still has {paths[marks.index(True)]}")
