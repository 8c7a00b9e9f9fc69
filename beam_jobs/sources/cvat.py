"""Reader of CVAT's own XML, for images: tags and shapes are positives.

File format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.csv_columns import Columns
from beam_jobs.sources.reader import (
    IMAGES,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    group_files,
    malformed,
)
from beam_jobs.sources.table_images import TableImages

_START = b"<annotations"
_CHECKED_BYTES = 4096
# Of a row: where the image lies, its labels, its subset.
_COLUMNS = Columns(0, 1, None, ("image", "labels", "subset"), split=2)
_VIDEO = (
    "tracks of a video are no images: export it as 'CVAT for images', which "
    "names its frames"
)


def find(path: str, context: Context) -> Found:
    """Finds a file, which is one part; its images may lie in images/ beside.

    Raises:
        InputError: no such file, or one of something else.
    """
    path, size = storage.find_file(path)
    with storage.open_read(path) as file:
        if _START not in file.read(_CHECKED_BYTES):
            raise InputError(
                f"{path}: CVAT's XML is needed, with <annotations> at its start"
            )
    options = context.part_options()
    if context.images_beside:
        options.append(("images", _images_beside(path)))
    parts = group_files("cvat", [(path, size)], options)
    return Found(parts, has_splits=context.keep_splits)


def _images_beside(path: str) -> str:
    folder = os.path.dirname(path)
    apart = storage.join(folder, "images")
    found = not storage.is_remote(folder) and os.path.isdir(apart)
    return apart if found else folder


def read(part: Part) -> Read:
    """Yields the images with the labels of their tags and shapes, each once."""
    images = TableImages(part, _COLUMNS, "cvat")
    path = part.path
    try:
        with storage.open_read(path) as file:
            for index, image in enumerate(_elements(file)):
                row = [image.get("name"), _labels_of(image), _subset_of(image)]
                try:
                    yield images.image_of(row)
                except (ValueError, OSError) as error:
                    yield malformed(path, f"image[{index}]", error)
    except (ParseError, DefusedXmlException, ValueError, OSError) as error:
        detail = f"not CVAT's XML: {error}"
        yield Rejection(Reason.UNREADABLE_SOURCE, path, detail, path)


def _elements(file) -> Iterator[Element]:
    """Yields the <image> elements, one in memory at a time.

    Raises:
        ValueError: what else there is, a video.
        ParseError: no XML.
    """
    root: Element | None = None
    events = iterparse(file, events=("start", "end"), forbid_dtd=True)
    for event, element in events:
        if root is None:
            root = element
        elif event == "end" and element.tag == "image":
            yield element
            # It holds all that was read.
            root.clear()
        elif element.tag == "track":
            raise ValueError(_VIDEO)


def _labels_of(image: Element) -> list[str]:
    """Returns the labels of tags, boxes, polygons, masks and so on."""
    texts = (child.get("label", "").strip() for child in image)
    return list(dict.fromkeys(text for text in texts if text))


def _subset_of(image: Element) -> str:
    # Of a task without subsets it is the default.
    subset = image.get("subset") or ""
    return "" if subset.lower() == "default" else subset


READER = Reader(
    SourceOption(
        "cvat",
        "CVAT export",
        "XML file of 'CVAT for images'.",
        check_file,
    ),
    find,
    read,
    bytes_an_image=1000,
    takes=(IMAGES,),
    keys_hold_names=True,
    own_images=True,
)
