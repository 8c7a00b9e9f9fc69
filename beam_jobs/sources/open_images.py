"""Reader of Open Images sources, V4 to V7: CSVs and image files.

File formats: https://storage.googleapis.com/openimages/web/download_v7.html
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from beam_jobs.classes.class_map import read_overrides
from beam_jobs.errors import InputError
from beam_jobs.files import storage, text_files
from beam_jobs.files.checks import check_folder
from beam_jobs.images.image_folders import ImageFolders
from beam_jobs.images.image_names import count_suffixes
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.images.origin import Origin, make_origin
from beam_jobs.images.regions import CROWD, Box, Regions, make_box
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Rejection
from beam_jobs.sources.cached_tokens import Confidences
from beam_jobs.sources.open_images_files import (
    BOX_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    OpenImagesFiles,
    find_files,
)
from beam_jobs.sources.reader import (
    IMAGES,
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    check_start,
    group_files,
)
from beam_jobs.sources.text_rows import MalformedRows, cut_text
from beam_jobs.split_names import split_of_folders

_NAME = "open_images"
# Of licence, author, URL; of several the first is taken.
_ORIGIN_COLUMNS = (
    ("License",),
    ("Author",),
    ("OriginalURL", "OriginalLandingURL"),
)
# Of what `tagforest download` may have fetched, in its order.
_URL_COLUMNS = ("OriginalURL", "Thumbnail300KURL")
# Of boxes, parts of the image.
_CORNERS = ("YMin", "XMin", "YMax", "XMax", "IsGroupOf")
_NAME_HEADERS = ("LabelName", "id")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_NESTINGS = ("*", "*/*", "*/*/*")


def find(folder: str, context: Context) -> Found:
    """Finds the CSVs of a folder, and the images below `images/`.

    Where no image lies there, they are downloads in the folders of --images,
    named by the URLs of the image CSVs. For labels alone images and their
    rotations are left out.

    Raises:
        InputError: as `find_files`, or a CSV without a sound row near its
            start.
    """
    found = find_files(folder)
    files = [*found.classes]
    files += [found.overrides] if found.overrides else []
    names = read_display_names(found.classes)
    wnids = read_overrides(found.overrides)
    images: list[tuple[str, int]] = []
    others: list[str] = []
    if not context.labels_only:
        patterns = (os.path.join(folder, "images", n) for n in _NESTINGS)
        listed = storage.list_files(*patterns)
        images = [file for file in listed if image_id_of(file[0])]
        others = [path for path, _ in listed if not image_id_of(path)]
    downloads = [] if images else _download_options(folder, found, context)
    parts = _text_parts(found, context, downloads)
    options = context.part_options(("table", "images"), ("folder", folder))
    parts += group_files(_NAME, images, options)
    return Found(
        parts,
        images=None if context.labels_only or downloads else len(images),
        files=tuple(storage.find_file(path) for path in files),
        passed_over=count_suffixes(others),
        display_names={f"oi:{k}": v for k, v in names.items()},
        # A row may also wish a class of another source: `coco:dog`.
        overrides={
            f"oi:{k}" if k.startswith("/") else k: v for k, v in wnids.items()
        },
        has_splits=any(
            split_of_folders(path[len(folder) :]) for path, _ in images
        ),
    )


def _download_options(
    folder: str, found: OpenImagesFiles, context: Context
) -> list[tuple[str, str]]:
    """Returns the folders of downloads, as options of the image CSVs.

    Raises:
        InputError: no image CSV has URLs.
    """
    given = [o for o in context.options if o[0] == IMAGES.name]
    headers = [text_files.read_header(path) for path in found.images]
    if given and not any(c in h for h in headers for c in _URL_COLUMNS):
        raise InputError(
            f"{folder}: images/ holds none, and no image CSV (such as "
            "train-images-boxable-with-rotation.csv) with "
            f"{' or '.join(_URL_COLUMNS)} tells which file of {IMAGES.flag} is "
            "which"
        )
    return given


def _text_parts(
    found: OpenImagesFiles,
    context: Context,
    downloads: Sequence[tuple[str, str]],
) -> list[Part]:
    texts = [
        (path, [("table", "labels"), ("source", source.name)])
        for paths, source in (
            (found.human_labels, Source.OPEN_IMAGES_HUMAN),
            (found.machine_labels, Source.OPEN_IMAGES_MACHINE),
        )
        for path in paths
    ]
    texts += [
        (path, context.box_option([("table", "boxes")])) for path in found.boxes
    ]
    if not context.labels_only:
        rotations = [("table", "rotations"), *downloads]
        texts += [(path, [*rotations]) for path in found.images]
    for path in found.boxes if context.boxes else ():
        if missing := {*_CORNERS} - {*text_files.read_header(path)}:
            raise InputError(
                f"{path}: --boxes needs the columns {', '.join(_CORNERS)}; "
                f"missing: {', '.join(sorted(missing))}"
            )
    parts = []
    for path, options in texts:
        options += context.split_option(path)
        of_file = cut_text(_NAME, *storage.find_file(path), options)
        check_start(of_file[0], read, "a row as its header says")
        parts += of_file
    return parts


def read(part: Part) -> Read:
    """Yields what a part of a CSV says, or where images lie.

    Options: `table`: labels, boxes, rotations or images; `source` of labels,
    a name of `ledger.Source`.
    """
    return _TABLES[part.option("table") or "labels"](part)


def read_labels(part: Part) -> Read:
    """Yields the rows of a label CSV; malformed ones become Rejections.

    Rows of one image that follow each other become one AnnotatedImage.
    """
    rows = _Rows(part, LABEL_COLUMNS)
    source = Source[part.option("source") or "OPEN_IMAGES_HUMAN"]
    confidences = Confidences()
    keys = _ClassKeys()
    current = ""
    classes: list[str] = []
    sure: list[float] = []
    for index, (image_id, _, label, text) in rows:
        try:
            confidence = confidences[text]
        except ValueError:
            rows.reject(index, f"Confidence {text!r}, not 0 to 1")
            continue
        if image_id != current:
            yield from _joined(current, source, classes, sure)
            yield from rows.take_rejected()
            current, classes, sure = image_id, [], []
        classes.append(keys[label])
        sure.append(confidence)
    yield from _joined(current, source, classes, sure)
    yield from rows.take_rejected()


def read_boxes(part: Part) -> Read:
    """Yields the classes of boxes as positives, each once an image.

    Rows of one image that follow each other become one AnnotatedImage.
    """
    more = _CORNERS if part.boxes else ()
    rows = _Rows(part, (*BOX_COLUMNS, *more))
    keys = _ClassKeys()
    source = Source.OPEN_IMAGES_BOXES
    for image_id, group in itertools.groupby(rows, lambda row: row[1][0]):
        boxes: list[Box] = []
        labels: dict[str, None] = {}
        wrong = ""
        for index, (_, label, *corners) in group:
            labels[label] = None
            try:
                boxes += [_box(keys[label], corners)] if corners else []
            except ValueError as error:
                rows.reject(index, str(error))
                wrong = wrong or str(error)
        classes = [keys[label] for label in labels]
        regions = Regions(boxes=tuple(boxes), wrong=wrong)
        sure = [1.0] * len(classes)
        yield from _joined(image_id, source, classes, sure, regions)
        yield from rows.take_rejected()
    yield from rows.take_rejected()


def _box(key: str, row: Sequence[str]) -> Box:
    ymin, xmin, ymax, xmax = map(float, row[:4])
    flag = CROWD if row[4] == "1" else 0
    return make_box(key, (ymin, xmin, ymax, xmax), flag=flag)


def _joined(
    image_id: str,
    source: Source,
    classes: list[str],
    sure: list[float],
    regions: Regions | None = None,
) -> Iterator[AnnotatedImage]:
    if classes:
        full_id = f"open_images/{image_id}"
        found = AnnotatedImage(full_id, source, tuple(classes), tuple(sure))
        yield found._replace(regions=regions) if any(regions or ()) else found


def read_rotations(part: Part) -> Read:
    """Yields the rotations of image rows, 0 where there is none.

    With licence, author and URL, if the file has them, and where the image
    was downloaded to, if the part has folders of `images`.
    """
    header = text_files.read_header(part.path)
    more = [[c for c in names if c in header][:1] for names in _ORIGIN_COLUMNS]
    paths = part.values(IMAGES.name)
    folders = ImageFolders(paths) if paths else None
    urls = [c for c in _URL_COLUMNS if folders and c in header]
    rows = _Rows(part, [*IMAGE_COLUMNS, *urls, *itertools.chain(*more)])
    for index, (image_id, text, *said) in rows:
        named, said = said[: len(urls)], said[len(urls) :]
        try:
            degrees = int(float(text or "0"))
        except (ValueError, OverflowError):
            degrees = -1
        if degrees in (0, 90, 180, 270):
            yield AnnotatedImage(
                f"open_images/{image_id}",
                Source.OPEN_IMAGES_HUMAN,
                ref=_downloaded(folders, named),
                rotation=degrees,
                origin=_origin(more, said),
            )
        else:
            rows.reject(index, f"Rotation {text!r}, not 0, 90, 180 or 270")
        yield from rows.take_rejected()
    yield from rows.take_rejected()


def _downloaded(
    folders: ImageFolders | None, urls: list[str]
) -> ImageRef | None:
    found = (folders.downloaded(url) for url in urls) if folders else ()
    return next(filter(None, found), None)


def _origin(columns: list[list[str]], said: list[str]) -> Origin | None:
    values = iter(said)
    return make_origin(*(next(values) if names else "" for names in columns))


def read_images(part: Part) -> Read:
    """Yields where the images lie."""
    folder = part.option("folder") or ""
    for path, size in part.files:
        yield AnnotatedImage(
            f"open_images/{image_id_of(path)}",
            Source.OPEN_IMAGES_HUMAN,
            ref=ImageRef(path, 0, size),
            split=part.split_of_path(path[len(folder) :]),
        )


def read_display_names(paths: Sequence[str]) -> dict[str, str]:
    """Returns display names by label name; files with or without a header.

    Raises:
        InputError: a malformed row (file:line).
    """
    names: dict[str, str] = {}
    for path in paths:
        for line, row in text_files.read_sound_csv(path):
            if line == 1 and row[0] in _NAME_HEADERS:
                continue
            if len(row) < 2 or not row[0].startswith("/"):
                raise InputError(
                    f"{path}:{line}: a label name as /m/0bt9lr and a display "
                    f"name are needed; received: {','.join(row)[:200]}"
                )
            names.setdefault(row[0], row[1])
    if not names:
        raise InputError(f"{', '.join(paths)}: no class names: an empty file")
    return names


def image_id_of(path: str) -> str | None:
    """Returns the ImageID of an image file, None for any other file."""
    name = PurePosixPath(path)
    return name.stem if name.suffix.lower() in _SUFFIXES else None


class _ClassKeys(dict[str, str]):
    """Class keys by label name."""

    def __missing__(self, label: str) -> str:
        return self.setdefault(label, f"oi:{label}")


class _Rows:
    """The sound rows of a CSV part, with some of their columns.

    The malformed ones wait until the caller takes them, so that they leave
    in the order of the rows.
    """

    def __init__(self, part: Part, columns: Sequence[str]):
        header = text_files.read_header(part.path)
        self._part = part
        self._at = [header.index(column) for column in columns]
        self._count = len(header)
        self._malformed = MalformedRows(part)
        self._rejected: list[Rejection] = []

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yields (index of the line in the part, values of the columns)."""
        at, count, whole = self._at, self._count, self._all_columns()
        for index, line in enumerate(self._part.lines()):
            fields = (
                text_files.split_csv(line) if isinstance(line, str) else line
            )
            if isinstance(fields, text_files.BadRow):
                self.reject(index, fields.detail)
            elif len(fields) != count:
                if fields != [""]:
                    detail = f"{len(fields)} fields, not {count}"
                    self.reject(index, detail)
            elif not fields[at[0]]:
                self.reject(index, "an empty ImageID")
            elif index or self._part.start:
                yield index, fields if whole else [fields[i] for i in at]

    def _all_columns(self) -> bool:
        return self._at == list(range(self._count))

    def reject(self, index: int, detail: str) -> None:
        """Adds a dead letter."""
        self._rejected.append(self._malformed(index, detail))

    def take_rejected(self) -> list[Rejection]:
        """Returns the dead letters since the last call."""
        rejected, self._rejected = self._rejected, []
        return rejected


_TABLES = {
    "labels": read_labels,
    "boxes": read_boxes,
    "rotations": read_rotations,
    "images": read_images,
}
READER = Reader(
    SourceOption(
        _NAME,
        "Open Images source",
        "Folder with Open Images CSVs and images/, or downloads in --images.",
        check_folder,
    ),
    find,
    read,
    bytes_an_image=200,
    takes=(IMAGES,),
    boxes=True,
)
