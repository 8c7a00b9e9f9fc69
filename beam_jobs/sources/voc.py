"""Reader of Pascal VOC: objects become image-level positives.

File format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/
"""

from __future__ import annotations

import functools
import os
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from beam_jobs.classes.wordnet import WNID_PATTERN
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_folder
from beam_jobs.images.image_folders import with_suffix
from beam_jobs.images.image_names import is_inside, path_id
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.regions import DIFFICULT, Regions, make_box
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.cells import check_length
from beam_jobs.sources.reader import (
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
from beam_jobs.split_names import FOLDERS, split_of_folders

# A folder of one year, and what the archives unpack to.
_NESTINGS = ("", "*", "*/*")
_XML = "*.[xX][mM][lL]"
# trainval is their union; an image of two is in the one held out.
_SETS = ("test", "val", "train")


def find(folder: str, context: Context) -> Found:
    """Finds the annotations of a folder, an XML file each.

    They lie in Annotations/, with the images in JPEGImages/, or beside them.

    Raises:
        InputError: no such folder, or nothing of the kind in it.
    """
    check_folder(folder, "Pascal VOC source")
    found = _list(folder, "Annotations") or _list(folder, "")
    if not found:
        raise InputError(
            f"{folder}: no Pascal VOC annotations: nothing matches "
            f"{os.path.join(folder, 'Annotations', '*.xml')} nor, beside "
            f"their images, {os.path.join(folder, '*.xml')}"
        )
    folders = sorted({_images_of(path) for path, _ in found})
    if context.labels_only:
        folders = []
    for images in folders:
        check_folder(images, "Pascal VOC images")
    options = context.part_options(("folder", folder))
    parts = group_files("voc", found, options, max_files=SMALL_FILES)
    return Found(
        parts,
        images=len(found),
        image_folders=tuple(folders),
        has_splits=context.keep_splits
        and any(_split_of(path, folder) for path, _ in found),
    )


def _split_of(path: str, folder: str) -> str | None:
    """Returns the split of an annotation's folders, or of VOC's ImageSets/."""
    in_folder = split_of_folders(os.path.relpath(path, folder or "."))
    if in_folder or not _is_apart(path):
        return in_folder
    stem = os.path.splitext(os.path.basename(path))[0]
    return image_sets(os.path.dirname(os.path.dirname(path)), "Main").get(stem)


@functools.lru_cache(maxsize=8)
def image_sets(folder: str, task: str) -> dict[str, str]:
    """Returns the split of each image that a list of ImageSets/TASK has."""
    found: dict[str, str] = {}
    for name in _SETS:
        path = os.path.join(folder, "ImageSets", task, f"{name}.txt")
        if storage.exists(path):
            for line in storage.read_text(path).split("\n"):
                found.setdefault(line.strip(), FOLDERS[name])
    return found


def _list(folder: str, name: str) -> list[tuple[str, int]]:
    start = storage.escape(folder)
    return storage.list_files(
        *(os.path.join(start, n, name, _XML) for n in _NESTINGS)
    )


def read(part: Part) -> Read:
    """Yields the images with the classes of their objects, each class once.

    Difficult and truncated objects count.
    """
    folder = part.option("folder") or ""
    for path, _ in part.files:
        try:
            with storage.open_read(path) as file:
                root = fromstring(file.read(), forbid_dtd=True)
            image = _parse(path, root, folder)
            if part.boxes:
                image = image._replace(regions=_regions(root))
        except (ParseError, DefusedXmlException, OSError, ValueError) as error:
            detail = f"not a Pascal VOC annotation: {error}"
            yield Rejection(Reason.MALFORMED_RECORD, path, detail, path)
            continue
        if part.keeps_splits:
            image = image._replace(split=_split_of(path, folder))
        yield image._replace(ref=None) if part.labels_only else image


def _parse(path: str, root: Element, folder: str) -> AnnotatedImage:
    """Returns the image of an annotation; its id is its path in the source.

    Raises:
        ValueError: it is none.
    """
    if root.tag != "annotation":
        raise ValueError(f"<annotation> is needed; received: <{root.tag}>")
    texts = [(o.findtext("name") or "").strip() for o in root.findall("object")]
    if not all(texts):
        raise ValueError("an object without a name")
    for text in texts:
        check_length(text)
    images = _images_of(path)
    name = (root.findtext("filename") or "").strip()
    if not os.path.splitext(name)[1]:
        # As in ImageNet's annotations.
        stem = os.path.splitext(os.path.basename(path))[0]
        name = with_suffix(images, stem) or f"{stem}.jpg"
    if not is_inside(name):
        raise ValueError(f"filename {name[:200]!r}: no relative path")
    classes = tuple(dict.fromkeys(map(class_key, texts)))
    base = os.path.relpath(
        os.path.dirname(images) if _is_apart(path) else images, folder or "."
    )
    return AnnotatedImage(
        f"voc/{path_id(os.path.join(base, name))}",
        Source.VOC,
        classes,
        (1.0,) * len(classes),
        ImageRef(os.path.join(images, name)),
    )


def _regions(root: Element) -> Regions:
    """Returns the boxes of an annotation's objects.

    Raises:
        ValueError: one is missing, empty or outside, or there is no size.
    """
    width, height = (_number(root, f"size/{n}") for n in ("width", "height"))
    boxes = []
    for place, thing in enumerate(root.findall("object")):
        # Counted from 1; the last pixel belongs to the object.
        left, top, right, bottom = (
            _number(thing, f"bndbox/{n}")
            for n in ("xmin", "ymin", "xmax", "ymax")
        )
        difficult = (thing.findtext("difficult") or "0").strip() != "0"
        try:
            box = make_box(
                class_key((thing.findtext("name") or "").strip()),
                (top - 1, left - 1, bottom, right),
                (height, width),
                DIFFICULT if difficult else 0,
            )
        except ValueError as error:
            raise ValueError(f"object {place}: {error}") from error
        boxes.append(box)
    return Regions(f"{width:g}x{height:g}", tuple(boxes))


def _number(element: Element, name: str) -> float:
    text = (element.findtext(name) or "").strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"<{name}> {text[:50]!r} is no number") from None


def class_key(name: str) -> str:
    """Returns the class key of a name: a WordNet id is one."""
    return name if WNID_PATTERN.fullmatch(name) else f"voc:{name}"


def _is_apart(path: str) -> bool:
    return os.path.basename(os.path.dirname(path)) == "Annotations"


def _images_of(path: str) -> str:
    folder = os.path.dirname(path)
    if not _is_apart(path):
        return folder
    return os.path.join(os.path.dirname(folder), "JPEGImages")


READER = Reader(
    SourceOption(
        "voc",
        "Pascal VOC source",
        "Pascal VOC folder: Annotations/ and JPEGImages/, or XML files "
        "beside the images.",
        check_folder,
    ),
    find,
    read,
    keys_hold_names=True,
    own_images=True,
    boxes=True,
)
