"""Reader of YOLO data sets: boxes and outlines become image-level positives.

A text file an image, a line an object that starts with its class's number:
https://docs.ultralytics.com/datasets/detect. The names are in `data.yaml`, or
in darknet's `obj.names` or `classes.txt`, a name a line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import yaml

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_folder
from beam_jobs.images.image_names import (
    count_suffixes,
    is_image_name,
    suffix_of,
)
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.cells import (
    CLASS_NAMES,
    class_key,
    name_of,
    read_class_names,
)
from beam_jobs.sources.reader import (
    SMALL_FILES,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    group_files,
    image_in_file,
)
from beam_jobs.split_names import split_of_folders

_YAML = (".yaml", ".yml")
_LISTS = ("obj.names", "classes.txt", "classes.names")
# Bytes of data.yaml: anybody wrote it, and YAML is slow to read.
_MAX_NAMES = 1 << 20


def find(folder: str, context: Context) -> Found:
    """Finds the images of a folder, at any depth, and the names of classes.

    Raises:
        InputError: no such folder, no names, or no label file of an image.
    """
    check_folder(folder, "YOLO source")
    base = os.path.join(folder, "")
    listed = storage.list_files(storage.escape(base) + "**")
    images = [f for f in listed if is_image_name(f[0])]
    texts = {path: size for path, size in listed if suffix_of(path) == ".txt"}
    labels = {
        text: texts[text]
        for path, _ in images
        for text in _texts_of(path, base)
        if text in texts
    }
    if not labels:
        raise InputError(
            f"{folder}: no YOLO labels: a text file an image is needed, as "
            "labels/1.txt for images/1.jpg, or 1.txt beside 1.jpg"
        )
    options = context.part_options(("folder", base))
    named = dict(options).get(CLASS_NAMES.name)
    names = named or _find_names(folder, [path for path, _ in listed])
    if named is None:
        options.append((CLASS_NAMES.name, names))
    read_names(names)
    read_ones = {*labels, names, *(path for path, _ in images)}
    return Found(
        group_files("yolo", images, options, max_files=SMALL_FILES),
        images=len(images),
        files=(*labels.items(), storage.find_file(names)),
        passed_over=count_suffixes(p for p, _ in listed if p not in read_ones),
        has_splits=any(split_of_folders(p[len(base) :]) for p, _ in images),
    )


def _texts_of(image: str, base: str) -> list[str]:
    """Returns where the labels of an image may be, the likeliest first."""
    stem = os.path.splitext(image[len(base) :])[0]
    before, images, after = f"/{stem}".rpartition("/images/")
    apart = [f"{before}/labels/{after}"[1:]] if images else []
    return [f"{base}{path}.txt" for path in (*apart, stem)]


def _find_names(folder: str, paths: Iterable[str]) -> str:
    """Returns the file with the names of classes, the outermost of several.

    Raises:
        InputError: there is none.
    """
    ordered = sorted(paths, key=lambda path: (path.count("/"), path))
    for path in ordered:
        if path.endswith(_YAML) and "names" in _load(path):
            return path
    lists = [p for p in ordered if os.path.basename(p) in _LISTS]
    if not lists:
        raise InputError(
            f"{folder}: no names of classes: data.yaml with `names`, or one "
            f"of {', '.join(_LISTS)} is needed; name another file, a name a "
            f"line from 0, with {CLASS_NAMES.flag}"
        )
    return lists[0]


def _load(path: str) -> dict:
    """Returns what a YAML file holds, nothing if that is no mapping.

    Raises:
        InputError: it is malformed or too long.
    """
    with storage.open_read(path) as file:
        content = file.read(_MAX_NAMES + 1)
    try:
        found = yaml.safe_load(content) if len(content) <= _MAX_NAMES else None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a YAML file: {said}") from None
    return found if isinstance(found, dict) else {}


def read_names(path: str) -> tuple[str, ...]:
    """Returns the names of a YAML file, a list or by number, or of a text.

    Raises:
        InputError: there are none, or a number lacks its name.
    """
    if not path.endswith(_YAML):
        return read_class_names(path)
    found = _load(path).get("names")
    if isinstance(found, dict):
        numbers = range(len(found))
        found = [found.get(i, found.get(str(i))) for i in numbers]
    if isinstance(found, list):
        names = tuple("" if n is None else str(n).strip() for n in found)
        if names and all(names):
            return names
    raise InputError(
        f"{path}: `names` as a list, or a name for each number from 0, is "
        f"needed; received: {str(found)[:200]}"
    )


def read(part: Part) -> Read:
    """Yields the images with the classes of their objects, each class once.

    An image without a label file, or with an empty one, has no classes; a
    malformed line becomes a Rejection, and the others count.
    """
    names = read_names(part.option(CLASS_NAMES.name) or "")
    base = part.option("folder") or ""
    for path, size in part.files:
        keys: dict[str, None] = {}
        for item in _objects(_texts_of(path, base), names):
            if isinstance(item, Rejection):
                yield item
            else:
                keys[class_key(item, "yolo")] = None
        yield image_in_file(part, (path, size), Source.YOLO, tuple(keys))


def _objects(
    texts: Sequence[str], names: Sequence[str]
) -> Iterator[str | Rejection]:
    """Yields the class of each line of the first file that is there."""
    path = next(filter(storage.exists, texts), None)
    if path is None:
        return
    try:
        lines = storage.read_text(path).splitlines()
    except OSError as error:
        yield Rejection(Reason.MALFORMED_RECORD, path, str(error), path)
        return
    for number, line in enumerate(lines, 1):
        fields = line.split()
        try:
            if fields:
                yield _class_of(fields, names)
        except ValueError as error:
            item = f"{path}:{number}"
            yield Rejection(Reason.MALFORMED_ROW, item, str(error), path)


def _class_of(fields: Sequence[str], names: Sequence[str]) -> str:
    """Returns the class of an object.

    Raises:
        ValueError: it is none, or has no name.
    """
    try:
        index, *box = map(float, fields)
    except ValueError:
        index, box = -1.0, []
    if len(box) < 4 or not index.is_integer() or index < 0:
        raise ValueError(
            f"{' '.join(fields)[:80]!r}: a class's number and a box or "
            "outline are needed"
        )
    (name,) = name_of(int(index), names)
    return name


READER = Reader(
    SourceOption(
        "yolo",
        "YOLO source",
        "YOLO folder: images, a text of objects each, and data.yaml.",
        check_folder,
    ),
    find,
    read,
    takes=(CLASS_NAMES,),
    keys_hold_names=True,
    own_images=True,
)
