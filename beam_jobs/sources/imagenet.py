"""Reader of ImageNet-style sources: a tar or folder per synset, list files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from beam_jobs.classes.load_classes import read_dictionary
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_folder
from beam_jobs.images import find_images
from beam_jobs.images.find_images import PictureFolders, is_inside
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Rejection
from beam_jobs.sources.cached_tokens import ClassTokens
from beam_jobs.sources.reader import (
    AnnotatedImage,
    MalformedRows,
    Part,
    Read,
    group_files,
)
from beam_jobs.sources.tencent import split_row

KIND = "imagenet"
LIST_KIND = "imagenet_list"
LIST_WHAT = "a picture as n01443537/n01443537_2.JPEG"
_WNID_IN_PATH = re.compile(r"(?:^|/)(n\d{8})(?:\.tar$|/)")
_WNID_IN_ROW = re.compile(r"(?:^|/)(n\d{8})[/_]")
_NESTINGS = ("*", "*/*", "*/*/*", "*/*/*/*")


def find_parts(folder: str, labels_only: bool = False) -> list[Part]:
    """Returns the parts of a folder; their files are sorted by synset.

    A synset is a tar named `<wnid>.tar`, or image files in a folder named
    `<wnid>` (at any depth down to four), as ImageNet and Tiny ImageNet are
    handed out.

    Raises:
        InputError: no such folder, or nothing of the kind in it.
    """
    check_folder(folder, "ImageNet source")
    found: list[tuple[str, str, int]] = []
    patterns = [os.path.join(folder, nesting) for nesting in _NESTINGS]
    for path, size in storage.list_files(*patterns):
        wnid = _wnid_of(path, folder)
        suffix = PurePosixPath(path).suffix.lower()
        if wnid and suffix in (find_images.ARCHIVE, *find_images.SUFFIXES):
            found.append((wnid, path, size))
    if not found:
        raise InputError(
            f"{folder}: no ImageNet images: files `<wnid>.tar` or folders "
            "`<wnid>/` with images are needed, as n01443537.tar"
        )
    options = [("folder", folder)]
    if labels_only:
        options.append(("labels_only", "yes"))
    listed = [(path, size) for _, path, size in sorted(found)]
    return group_files(KIND, listed, options)


def estimate_images(parts: Sequence[Part]) -> int:
    """Returns about how many images there are, by the smallest tar."""
    found = [file for part in parts for file in part.files]
    tars = [(size, path) for path, size in found if path.endswith(".tar")]
    if not tars:
        return len(found)
    size, path = min(tars)
    images = max(1, sum(1 for _ in find_images.list_images(path, size)))
    total = sum(size for size, _ in tars)
    return len(found) - len(tars) + total * images // max(1, size)


def synsets(parts: Sequence[Part]) -> list[str]:
    """Returns the WordNet ids that the parts of folders name, sorted."""
    named = {
        _wnid_of(path, part.option("folder") or "")
        for part in parts
        if part.kind == KIND
        for path, _ in part.files
    }
    return sorted(wnid for wnid in named if wnid)


def read_part(part: Part) -> Read:
    """Yields the images of tars and image files.

    Options: `folder`, the source; `labels_only` if no picture is needed.
    """
    folder = part.option("folder") or ""
    labels_only = part.option("labels_only") is not None
    for path, size in part.files:
        wnid = _wnid_of(path, folder)
        for item in find_images.list_images(path, size):
            if isinstance(item, Rejection):
                yield item
            elif wnid:
                name, ref = item
                yield AnnotatedImage(
                    f"imagenet/{_stem(name)}",
                    Source.IMAGENET,
                    (wnid,),
                    (1.0,),
                    None if labels_only else ref,
                )


def read_list(part: Part) -> Read:
    """Yields the rows of a list file: `<wnid>/<name>`, further columns.

    The suffix `.JPEG` may be left out. Columns `class:confidence`, as in
    `train_image_id_from_imagenet.txt` of Tencent ML-Images, are annotations
    of that source beside the synset; other columns mean nothing here.

    Options: `dictionary`, if there are such columns; `images`, the folders of
    the pictures; none for labels alone.
    """
    classes = ClassTokens(read_dictionary(part.option("dictionary")))
    folders = part.values("images")
    find = PictureFolders(folders).find if folders else None
    reject = MalformedRows(part)
    for index, line in enumerate(part.lines()):
        if not isinstance(line, str):
            yield reject(index, line.detail)
            continue
        name, columns = split_row(line)
        if not name:
            continue
        match = _WNID_IN_ROW.search(name)
        if not match or not is_inside(name):
            yield reject(index, f"{name[:200]!r}: {LIST_WHAT} is needed")
            continue
        try:
            found = classes.parse(c for c in columns if ":" in c)
        except ValueError as error:
            yield reject(index, str(error))
            continue
        image_id = f"imagenet/{_stem(name)}"
        ref = find(_with_suffix(name)) if find else None
        yield AnnotatedImage(
            image_id, Source.IMAGENET, (match[1],), (1.0,), ref
        )
        if found[0]:
            yield AnnotatedImage(image_id, Source.TENCENT, *found)


def _wnid_of(path: str, folder: str) -> str | None:
    match = _WNID_IN_PATH.search(path[len(folder) :])
    return match and match[1]


def _stem(name: str) -> str:
    """Returns the file name without folders and image suffix."""
    name = name.rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _with_suffix(name: str) -> str:
    return name if "." in name.rpartition("/")[2] else f"{name}.JPEG"
