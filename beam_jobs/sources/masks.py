"""Reader of masks: a PNG an image, each pixel the id of its class.

Of a palette the numbers count, not the colours. 255 is void, and what the
names leave out is refused, but for 0, the background.

Palette and names of VOC:
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.files.checks import check_file, check_folder
from beam_jobs.images import regions
from beam_jobs.images.image_folders import with_suffix
from beam_jobs.images.image_names import path_id
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.regions import Mask, Regions
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.reader import (
    IMAGES,
    SMALL_FILES,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    group_files,
)
from beam_jobs.sources.voc import image_sets

_NAME = "masks"
_CLASS = "class"
_VOC = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person"),
    *("pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_VOC_FOLDER = "SegmentationClass"
# Where images lie, beside the folder of the masks.
_BESIDE = ("JPEGImages", "images")
# Names of 0 that are no class.
_NOTHING = ("background", "unlabeled", "unlabelled", "void", "_background_")
NAMES = SourceOption(
    "mask_classes",
    "names of the masks' classes",
    "CSV id,name of the classes in --masks. Default: VOC's 20.",
    check_file,
    repeated=False,
)


def find(folder: str, context: Context) -> Found:
    """Finds the masks of a folder, and the folder of their images.

    Raises:
        InputError: no such folder, no PNG in it, no images beside it, no
            names, or a malformed row of them (file:line).
    """
    check_folder(folder, "folder of masks")
    found = storage.list_files(
        os.path.join(storage.escape(folder), "*.[pP][nN][gG]")
    )
    if not found:
        raise InputError(f"{folder}: no masks: nothing matches *.png")
    images = [] if context.labels_only else [_images_of(folder, context)]
    options = context.part_options(
        ("folder", folder),
        *(("in", path) for path in images),
        *((_CLASS, f"{i}:{n}") for i, n in _names(folder, context).items()),
    )
    sets = image_sets(os.path.dirname(folder.rstrip("/")), "Segmentation")
    return Found(
        group_files(_NAME, found, options, max_files=SMALL_FILES),
        images=len(found),
        image_folders=tuple(images),
        has_splits=context.keep_splits and bool(sets),
    )


def _images_of(folder: str, context: Context) -> str:
    given = [v for name, v in context.options if name == IMAGES.name]
    above = os.path.dirname(folder.rstrip("/"))
    beside = [os.path.join(above, name) for name in _BESIDE]
    for path in given or beside:
        if storage.list_files(os.path.join(storage.escape(path), "*")):
            return path
    raise InputError(f"{folder}: --masks needs {IMAGES.needed}")


def _names(folder: str, context: Context) -> dict[int, str]:
    """Returns the name of each id."""
    path = dict(context.options).get(NAMES.name)
    if path is None:
        if os.path.basename(folder.rstrip("/")) == _VOC_FOLDER:
            return dict(enumerate(_VOC, start=1))
        raise InputError(
            f"{folder}: --masks needs the names of its ids, a CSV id,name: "
            f"name it with {NAMES.flag} FILE"
        )
    found: dict[int, str] = {}
    for line, row in text_files.read_sound_csv(path):
        if line == 1 and not row[0].strip().isdigit():
            continue
        if len(row) < 2 or not row[0].strip().isdigit() or not row[1].strip():
            raise InputError(
                f"{path}:{line}: an id and a name are needed; received: "
                f"{','.join(row)[:200]}"
            )
        number, name = int(row[0]), row[1].strip()
        if number >= regions.VOID or number in found:
            raise InputError(
                f"{path}:{line}: ids are 0 to {regions.VOID - 1}, each once; "
                f"received: {number}"
            )
        found[number] = name
    if found.get(0, "").lower() in _NOTHING:
        del found[0]
    return found


def read(part: Part) -> Read:
    """Yields the images of masks, with the classes of their pixels."""
    names = dict(
        (int(number), name)
        for number, _, name in (
            text.partition(":") for text in part.values(_CLASS)
        )
    )
    folder = part.option("folder") or ""
    sets = image_sets(os.path.dirname(folder.rstrip("/")), "Segmentation")
    for path, _ in part.files:
        stem = os.path.splitext(os.path.basename(path))[0]
        try:
            with storage.open_read(path) as file:
                image = _image(stem, file.read(), part.option("in"), names)
        except (OSError, ValueError) as error:
            yield Rejection(Reason.MALFORMED_RECORD, path, str(error), path)
            continue
        if part.keeps_splits:
            image = image._replace(split=sets.get(stem))
        yield image


def _image(
    stem: str, data: bytes, images: str | None, names: Mapping[int, str]
) -> AnnotatedImage:
    """Returns the image of a mask.

    Raises:
        ValueError: no mask, an id without a name, or no image.
    """
    ids = regions.read_mask(data)
    present = [
        i
        for i in np.flatnonzero(np.bincount(ids.reshape(-1))).tolist()
        if i in names or i not in (regions.BACKGROUND, regions.VOID)
    ]
    unknown = [i for i in present if i not in names]
    if unknown:
        raise ValueError(f"id {unknown[0]} has no name: {len(names)} have one")
    keys = tuple(f"{_NAME}:{names[i]}" for i in present)
    table = np.zeros(256, np.uint8)
    table[regions.VOID] = regions.VOID
    table[present] = np.arange(1, len(present) + 1)
    mask = Mask(regions.write_mask(table[ids]), keys)
    name, ref = stem, None
    if images is not None:
        name = with_suffix(images, stem) or f"{stem}.jpg"
        ref = ImageRef(os.path.join(images, name))
    size = f"{ids.shape[1]}x{ids.shape[0]}"
    return AnnotatedImage(
        f"{_NAME}/{path_id(name)}",
        Source.MASKS,
        keys,
        (1.0,) * len(keys),
        ref,
        regions=Regions(size, masks=(mask,)),
    )


READER = Reader(
    SourceOption(
        _NAME,
        "folder of masks",
        "Folder of PNG masks, a class id each pixel, as VOC's "
        "SegmentationClass/.",
        check_folder,
    ),
    find,
    read,
    takes=(IMAGES, NAMES),
    keys_hold_names=True,
    own_images=True,
)
