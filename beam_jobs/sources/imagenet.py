"""Reader of ImageNet-style sources: a tar or folder per synset, list files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from beam_jobs.classes.load_classes import read_dictionary
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file, check_folder
from beam_jobs.images.find_images import list_images
from beam_jobs.images.image_folders import ImageFolders
from beam_jobs.images.image_names import (
    SUFFIXES,
    TEXTS,
    count_suffixes,
    is_inside,
    suffix_of,
)
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.cached_tokens import ClassTokens
from beam_jobs.sources.reader import (
    DICTIONARY,
    IMAGES,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    group_files,
)
from beam_jobs.sources.tencent import split_row
from beam_jobs.sources.text_rows import find_rows, read_rows
from beam_jobs.split_names import split_of_folders

_LIST_ROW = "an image as n01443537/n01443537_2.JPEG"
_WNID_IN_PATH = re.compile(
    r"(?:^|/)(n\d{8})(?:\.tar$|\.tar\.\w+$|\.tgz$|\.zip$|/)"
)
_PACKED = re.compile(r"/n\d{8}\.(?:tar\.\w+|tgz|zip)$")
_WNID_IN_ROW = re.compile(r"(?:^|/)(n\d{8})[/_]")
_TARS_TRIED = 4
_NESTINGS = ("*", "*/*", "*/*/*", "*/*/*/*")


def find(folder: str, context: Context) -> Found:
    """Finds the tars and images of a folder, sorted by synset.

    A synset is a tar named `<wnid>.tar`, or image files in a folder named
    `<wnid>` (at any depth down to four), as ImageNet and Tiny ImageNet are
    handed out.

    Raises:
        InputError: no such folder, or nothing of the kind in it.
    """
    check_folder(folder, "ImageNet source")
    found: list[tuple[str, str, int]] = []
    others: list[str] = []
    a_class_each = False
    patterns = [os.path.join(folder, nesting) for nesting in _NESTINGS]
    for path, size in storage.list_files(*patterns):
        wnid = _wnid_of(path, folder)
        suffix = suffix_of(path)
        # What else lies among the images is checked, and said to be none.
        if wnid and suffix not in TEXTS:
            found.append((wnid, path, size))
            continue
        others.append(path)
        if suffix in SUFFIXES:
            a_class_each |= "/" in path[len(folder) :].strip("/")
    if not found:
        raise InputError(
            f"{folder}: no ImageNet images: files `<wnid>.tar` or folders "
            "`<wnid>/` with images are needed, as n01443537.tar"
            + f"; a folder a class is read with --folders {folder}"
            * a_class_each
        )
    listed = [(path, size) for _, path, size in sorted(found)]
    options = context.part_options(("folder", folder))
    return Found(
        group_files("imagenet", listed, options),
        images=_estimate_images(listed),
        wnids=tuple(sorted({wnid for wnid, _, _ in found})),
        passed_over=count_suffixes(others),
        has_splits=any(
            split_of_folders(path[len(folder) :]) for path, _ in listed
        ),
    )


def _estimate_images(found: Sequence[tuple[str, int]]) -> int:
    """Returns about how many images there are, by one of the smallest tars."""
    tars = [(size, path) for path, size in found if path.endswith(".tar")]
    if not tars:
        return len(found)
    total = sum(size for size, _ in tars)
    # A tar that is empty or broken says nothing of the others.
    for size, path in sorted(tars)[:_TARS_TRIED]:
        listed = list_images(path, size) if size else ()
        images = sum(not isinstance(item, Rejection) for item in listed)
        if images:
            return len(found) - len(tars) + total * images // size
    return len(found)


def read(part: Part) -> Read:
    """Yields the images of tars and image files."""
    folder = part.option("folder") or ""
    for path, size in part.files:
        wnid = _wnid_of(path, folder)
        if _PACKED.search(path):
            detail = "packed: unpack it, a .tar or a folder is read"
            yield Rejection(Reason.UNREADABLE_ARCHIVE, path, detail, path)
            continue
        split = part.split_of_path(path[len(folder) :])
        for item in list_images(path, size):
            if isinstance(item, Rejection):
                yield item
            elif wnid:
                name, ref = item
                yield AnnotatedImage(
                    f"imagenet/{_stem(name)}",
                    Source.IMAGENET,
                    (wnid,),
                    (1.0,),
                    None if part.labels_only else ref,
                    split=split,
                )


def find_list(path: str, context: Context) -> Found:
    """Finds a list file.

    Raises:
        InputError: no such file, or no sound row near its start.
    """
    return find_rows("imagenet_lists", path, context, read_list, _LIST_ROW)


def read_list(part: Part) -> Read:
    """Yields the rows of a list file: `<wnid>/<name>`, further columns.

    The suffix `.JPEG` may be left out. Columns `class:confidence`, as in
    `train_image_id_from_imagenet.txt` of Tencent ML-Images, are annotations
    of that source beside the synset, and need `--dictionary`; other columns
    mean nothing here.
    """
    classes = ClassTokens(read_dictionary(part.option("dictionary")))
    folders = part.values("images")
    find_image = ImageFolders(folders).find if folders else None

    def parse(line: str) -> Iterator[AnnotatedImage]:
        name, columns = split_row(line)
        if not name:
            return
        match = _WNID_IN_ROW.search(name)
        if not match or not is_inside(name):
            raise ValueError(f"{name[:200]!r}: {_LIST_ROW} is needed")
        found = classes.parse(c for c in columns if ":" in c)
        image_id = f"imagenet/{_stem(name)}"
        ref = find_image(_with_suffix(name)) if find_image else None
        yield AnnotatedImage(
            image_id, Source.IMAGENET, (match[1],), (1.0,), ref
        )
        if found[0]:
            yield AnnotatedImage(image_id, Source.TENCENT, *found)

    return read_rows(part, lambda line: tuple(parse(line)))


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


FOLDERS = Reader(
    SourceOption(
        "imagenet",
        "ImageNet source",
        "Folder with <wnid>.tar files or <wnid>/ folders of images.",
        check_folder,
    ),
    find,
    read,
)
LISTS = Reader(
    SourceOption(
        "imagenet_lists",
        "ImageNet list",
        "List of images as n01443537/n01443537_2.JPEG.",
        check_file,
    ),
    find_list,
    read_list,
    bytes_an_image=30,
    takes=(IMAGES, DICTIONARY),
    needs=(IMAGES,),
)
