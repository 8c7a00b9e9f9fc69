"""Reader of webdataset's tars, also as img2dataset writes them.

Members of one sample follow each other and share the name up to its first
dot: `000.jpg`, `000.cls`, `000.json`. Format:
https://github.com/webdataset/webdataset, https://github.com/rom1504/img2dataset
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.checks import check_file
from beam_jobs.images.find_images import ARCHIVE, list_images
from beam_jobs.images.image_names import (
    TEXTS,
    count_suffixes,
    is_encodable,
    is_image_name,
    path_id,
    suffix_of,
)
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.images.origin import make_origin
from beam_jobs.labels.ledger import Source
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.sources.captions import captioned
from beam_jobs.sources.cells import (
    CLASS_NAMES,
    LABEL_NAMES,
    class_key,
    labels_of,
    read_class_names,
)
from beam_jobs.sources.reader import (
    AnnotatedImage,
    Context,
    Found,
    Part,
    Read,
    Reader,
    SourceOption,
    check_start,
)

# Beside the tars, a class a line.
_NAMES_BESIDE = ("classes.txt", "classnames.txt")
# Bytes of a label, a caption or a JSON; a longer member is none.
_MAX_TEXT = 1 << 20
_PARTS_TRIED = 4
_CAPTIONS = ("txt", "caption", "text")
_ORIGIN = ("license", "author", "url")
_SAMPLE = "a sample with an image and its labels, as 0.jpg, 0.cls"

_Member = tuple[str, ImageRef]


def find(path: str, context: Context) -> Found:
    """Finds a tar, those that match a pattern, or a folder's at any depth.

    In a folder without tars, the files of a sample lie side by side. Names of
    numbered classes are in `classes.txt` beside the tars, or named.

    Raises:
        InputError: no such file, or no sound sample near the start.
    """
    folder = path if _is_folder(path) else os.path.dirname(path)
    base = os.path.join(folder, "")
    options = context.part_options(("folder", base))
    names = dict(options).get(CLASS_NAMES.name) or _beside(base)
    read_class_names(names)
    if names and CLASS_NAMES.name not in dict(options):
        options.append((CLASS_NAMES.name, names))
    listed = _list(path)
    parts = [
        Part(
            "webdataset",
            files[0][0],
            files=tuple(files),
            options=(*options, *context.split_option(files[0][0])),
        )
        for files in _group(path, listed)
    ]
    _check_some(parts)
    read_ones = {name for part in parts for name, _ in part.files} | {names}
    return Found(
        parts,
        files=(storage.find_file(names),) if names else (),
        passed_over=count_suffixes(n for n, _ in listed if n not in read_ones),
    )


def _check_some(parts: Sequence[Part]) -> None:
    """Checks that one of the first parts starts soundly; one may be broken.

    Raises:
        InputError: none does.
    """
    errors: list[InputError] = []
    for part in parts[:_PARTS_TRIED]:
        try:
            check_start(part, _sound, _SAMPLE)
        except InputError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def _sound(part: Part) -> Read:
    """Yields what is malformed, and the images of samples without fault."""
    faulty = False
    for item in read(part):
        if isinstance(item, Rejection) or not faulty:
            yield item
        faulty = isinstance(item, Rejection)


def _is_folder(path: str) -> bool:
    if not storage.is_remote(path):
        return os.path.isdir(path)
    return not storage.list_files(path)


def _beside(base: str) -> str | None:
    found = (base + name for name in _NAMES_BESIDE)
    return next(filter(storage.exists, found), None)


def _list(path: str) -> list[tuple[str, int]]:
    if os.path.isfile(path):
        return [storage.find_file(path)]
    pattern = storage.join(storage.escape(path), "**")
    return storage.list_files(path) or storage.list_files(pattern)


def _group(
    path: str, found: list[tuple[str, int]]
) -> Iterator[list[tuple[str, int]]]:
    """Yields the files of each part: a tar, or a folder without one.

    Raises:
        InputError: there are none.
    """
    tars = [file for file in found if file[0].endswith(ARCHIVE)]
    if tars:
        yield from ([tar] for tar in tars)
        return
    if not any(is_image_name(name) for name, _ in found):
        packed = [name for name, _ in found if f"{ARCHIVE}." in name]
        cure = f"; {packed[0]} is packed: unpack it to .tar" if packed else ""
        raise InputError(f"no webdataset: no {ARCHIVE} in {path}{cure}")
    folders: dict[str, list[tuple[str, int]]] = {}
    for file in found:
        folders.setdefault(os.path.dirname(file[0]), []).append(file)
    for files in folders.values():
        if any(is_image_name(name) for name, _ in files):
            yield files


def read(part: Part) -> Read:
    """Yields the samples, and a Rejection for what is malformed in them."""
    names = read_class_names(part.option(CLASS_NAMES.name))
    base, reader = part.option("folder") or "", ImageReader()
    is_tar = part.path.endswith(ARCHIVE)
    members = (m for path, size in part.files for m in list_images(path, size))
    key_of = _key_in_tar if is_tar else _key_of_file
    for key, sample in itertools.groupby(members, key_of):
        if key is None:
            yield from (m for m in sample if isinstance(m, Rejection))
            continue
        found = [m for m in sample if not isinstance(m, Rejection)]
        name = f"{part.path}/{key}" if is_tar else key
        image_id = f"webdataset/{path_id(name.removeprefix(base))}"
        try:
            image = _image_in(key, found)
        except ValueError as error:
            if is_tar or any(suffix_of(m[0]) not in TEXTS for m in found):
                yield _malformed(name, part.path, error)
            continue
        fields, errors = _fields(key, found, reader)
        keys, more = _class_keys(fields, names)
        for fault in (*errors, *more):
            yield _malformed(name, part.path, fault)
        yield AnnotatedImage(
            image_id,
            Source.WEBDATASET,
            keys,
            (1.0,) * len(keys),
            None if part.labels_only else image,
            origin=make_origin(*map(fields.get, _ORIGIN)),
        )
        caption = next(filter(None, map(fields.get, _CAPTIONS)), None)
        if isinstance(caption, str):
            yield captioned(image_id, [caption])
    reader.close()


def _malformed(name: str, path: str, error: Exception) -> Rejection:
    return Rejection(Reason.MALFORMED_RECORD, name, str(error), path)


def _key_in_tar(member: _Member | Rejection) -> str | None:
    """Returns what members of a sample share; None of what is no member."""
    if isinstance(member, Rejection):
        return None
    folder, name = os.path.split(member[0])
    return os.path.join(folder, name.partition(".")[0])


def _key_of_file(member: _Member | Rejection) -> str | None:
    if isinstance(member, Rejection):
        return None
    # People's files have dots in their names: IMG.2019.jpg.
    return os.path.splitext(member[0])[0]


def _image_in(key: str, sample: Sequence[_Member]) -> ImageRef:
    """Returns the one image; of several (masks) that with the plain suffix.

    Raises:
        ValueError: there is none, it is unclear which, or it cannot be named.
    """
    if not is_encodable(key):
        raise ValueError(f"{key!r}: a name in UTF-8 is needed")
    images = [m for m in sample if is_image_name(m[0])]
    if len(images) > 1:
        images = [m for m in images if os.path.basename(m[0]).count(".") == 1]
    if len(images) != 1:
        there = ", ".join(sorted(os.path.basename(name) for name, _ in sample))
        raise ValueError(f"one image is needed; received: {there[:200]}")
    return images[0][1]


def _fields(
    key: str, sample: Iterable[_Member], reader: ImageReader
) -> tuple[dict[str, Any], list[Exception]]:
    """Returns what is said of a sample, by suffix or by key of its JSON.

    Returns:
        That, and what is wrong with members that are left out.
    """
    found: dict[str, Any] = {}
    errors: list[Exception] = []
    for name, ref in sample:
        kind = name[len(key) + 1 :].lower()
        field = kind.removesuffix(".txt")
        try:
            if kind == "json":
                content = json.loads(_text_of(name, ref, reader))
                if not isinstance(content, dict):
                    raise ValueError(f"{name}: a JSON object is needed")
                found = content | found
            elif field in ("txt", "cls", *LABEL_NAMES):
                text = _text_of(name, ref, reader)
                # A class has one name, whatever commas are in it.
                found[field] = [text] if field == "cls" else text
        except (ValueError, OSError, RecursionError) as error:
            errors.append(error)
    return found, errors


def _class_keys(
    fields: Mapping[str, Any], names: Sequence[str]
) -> tuple[tuple[str, ...], list[Exception]]:
    """Returns the class keys of all labels, each once, and what is wrong."""
    keys: dict[str, None] = {}
    errors: list[Exception] = []
    for field in ("cls", *LABEL_NAMES):
        try:
            for text in filter(None, labels_of(fields.get(field), names)):
                _check_name(text, names)
                keys[class_key(text, "webdataset")] = None
        except ValueError as error:
            errors.append(error)
    return tuple(keys), errors


def _check_name(text: str, names: Sequence[str]) -> None:
    """Checks that a label is no number without a name.

    Raises:
        ValueError: it is, or no text.
    """
    if text.isdecimal() and not names:
        raise ValueError(
            f"class {text} is a number: its name is needed in "
            f"{_NAMES_BESIDE[0]} beside the tars, or with "
            f"{CLASS_NAMES.flag} FILE, a name a line from 0"
        )
    if not is_encodable(text):
        raise ValueError(f"label {text!r}: half a character")


def _text_of(name: str, ref: ImageRef, reader: ImageReader) -> str:
    """Returns the text of a member.

    Raises:
        ValueError: too long, or no UTF-8.
    """
    if ref.length > _MAX_TEXT:
        raise ValueError(f"{name}: {ref.length} bytes, over {_MAX_TEXT}")
    try:
        return reader.read(ref).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 text") from error


READER = Reader(
    SourceOption(
        "webdataset",
        "webdataset",
        "Tar of webdataset or img2dataset, or a folder of them.",
        check_file,
    ),
    find,
    read,
    bytes_an_image=50_000,
    takes=(CLASS_NAMES,),
    keys_hold_names=True,
    own_images=True,
)
