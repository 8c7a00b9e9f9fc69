"""Readers of Tencent ML-Images: lists, and the original TFRecords.

A record is a `tf.train.Example` with `image` (the file's bytes), `label` (one
little-endian float32 a class, 0 for no label), `name`, `width`, `height`:
https://github.com/Tencent/tencent-ml-images/blob/master/data/tfrecord.py

TensorFlow's reader hides where a record lies, so the framing is read here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from beam_jobs.classes.load_classes import read_dictionary
from beam_jobs.errors import InputError
from beam_jobs.files import storage, tfrecords
from beam_jobs.files.checks import check_file
from beam_jobs.images.image_folders import ImageFolders
from beam_jobs.images.image_names import check_address, is_inside, is_url
from beam_jobs.images.image_ref import ImageRef
from beam_jobs.labels.ledger import Source
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
    malformed,
)
from beam_jobs.sources.text_rows import find_rows, read_rows

# A longer one is a damaged length; nothing of that size is reserved.
_MAX_RECORD = 256 << 20


class Frame(NamedTuple):
    """One record of a TFRecord file.

    Attributes:
        offset: first byte of the frame in the file.
        data: the record, None if it is damaged.
        problem: what is wrong with a damaged one.
    """

    offset: int
    data: bytes | None
    problem: str = ""


def find_files(path: str) -> list[tuple[str, int]]:
    """Returns (path, bytes) of a file, a folder's files, or a pattern's.

    In a folder, files named `*tfrecord*` are read; all, if there is none.

    Raises:
        InputError: nothing matches, or a file is no TFRecord file.
    """
    if os.path.isfile(path):
        found = [storage.find_file(path)]
    else:
        found = storage.list_files(
            os.path.join(path, "*")
        ) or storage.list_files(path)
        named = [f for f in found if "tfrecord" in os.path.basename(f[0])]
        found = named or found
    if not found:
        raise InputError(f"no TFRecord files: nothing matches {path}")
    for name, _ in found:
        with storage.open_read(name) as file:
            head = file.read(tfrecords.HEADER.size)
        if _record_length(head) is None:
            raise InputError(f"{name}: not a TFRecord file (its start)")
    return found


def find_records(path: str, context: Context) -> Found:
    """Finds TFRecord files, a part each.

    Raises:
        InputError: as `find_files`, or a malformed dictionary.
    """
    options = context.part_options()
    read_dictionary(dict(options).get(DICTIONARY.name))
    return Found(
        [
            Part(
                "tencent_records",
                file[0],
                files=(file,),
                options=(*options, *context.split_option(file[0])),
            )
            for file in find_files(path)
        ]
    )


def read_records(part: Part) -> Read:
    """Yields the records; the image of each is referred to, not copied."""
    wnids = read_dictionary(part.option("dictionary"))
    for path, _ in part.files:
        for frame in read_frames(path):
            problem = frame.problem
            if frame.data is not None:
                try:
                    image = _parse(path, frame.offset, frame.data, wnids)
                    yield (
                        image._replace(ref=None) if part.labels_only else image
                    )
                    continue
                except ValueError as error:
                    problem = str(error)
            yield malformed(path, frame.offset, problem)


def read_frames(path: str) -> Iterator[Frame]:
    """Yields the records of a TFRecord file with their offsets.

    After a damaged record reading goes on where the next one starts; where
    that is unknown, the file ends.
    """
    offset = 0
    with storage.open_read(path) as file:
        while head := file.read(tfrecords.HEADER.size):
            length = _record_length(head)
            if length is None:
                yield Frame(offset, None, _no_header(head))
                return
            yield _read_data(file, offset, length)
            offset += length + tfrecords.FRAME_BYTES


def _read_data(file: BinaryIO, offset: int, length: int) -> Frame:
    wanted = length + tfrecords.CHECKSUM.size
    content = file.read(wanted)
    if len(content) < wanted:
        return Frame(
            offset,
            None,
            f"cut off: {wanted} bytes expected, {len(content)} there",
        )
    data = content[:length]
    if not tfrecords.is_whole(data, content[length:]):
        return Frame(offset, None, "the checksum of the data is wrong")
    return Frame(offset, data)


def _no_header(head: bytes) -> str:
    wanted = tfrecords.HEADER.size
    if len(head) < wanted:
        return f"cut off: {wanted} bytes expected, {len(head)} there"
    return (
        "the checksum of the length is wrong; the rest of the file cannot be "
        "read"
    )


def _record_length(head: bytes) -> int | None:
    """Returns the length of a record, None if it is none."""
    length = tfrecords.length_of(head)
    sound = length is not None and length <= _MAX_RECORD
    return length if sound else None


def _parse(
    path: str, offset: int, data: bytes, wnids: Sequence[str]
) -> AnnotatedImage:
    """Returns the image of a record.

    Raises:
        ValueError: no Example, or one that lacks something.
    """
    features = _features(data)
    name = _bytes_of(features, "name").decode()
    encoded = _bytes_of(features, "image")
    label = _bytes_of(features, "label")
    if len(label) != 4 * len(wnids):
        raise ValueError(
            f"label has {len(label)} bytes; {len(wnids)} classes of float32 "
            f"take {4 * len(wnids)}"
        )
    values = np.frombuffer(label, "<f4")
    positive = np.flatnonzero(values)
    found = values[positive]
    # Says no to NaN as well.
    if not np.all((found > 0) & (found <= 1)):
        raise ValueError("label has values that are not 0 to 1")
    start = offset + tfrecords.HEADER.size + data.index(encoded)
    return AnnotatedImage(
        f"tencent/{name}",
        Source.TENCENT,
        tuple(wnids[i] for i in positive),
        tuple(found.tolist()),
        ImageRef(path, start, len(encoded)),
    )


def _features(data: bytes):
    """Returns the features of an Example by name."""
    # TensorFlow takes seconds to import, and other sources do without.
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        return tf.train.Example.FromString(data).features.feature
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from error


def _bytes_of(features, name: str) -> bytes:
    if name not in features:
        raise ValueError(f"no feature {name!r}")
    values = features[name].bytes_list.value
    if len(values) != 1 or not values[0]:
        raise ValueError(f"feature {name!r} is not one string of bytes")
    return values[0]


def find_list(path: str, context: Context) -> Found:
    """Finds a list file.

    Raises:
        InputError: no such file, or no sound row near its start.
    """
    what = "a file name or URL and class:confidence tokens"
    return find_rows("tencent_lists", path, context, read_list, what)


def read_list(part: Part) -> Read:
    """Yields the rows of a list; malformed ones become Rejections."""
    classes = ClassTokens(read_dictionary(part.option("dictionary")))
    folders = part.values("images")
    find_image = ImageFolders(folders).find if folders else None
    source = Source.TENCENT

    def parse(line: str) -> tuple[AnnotatedImage, ...]:
        name, tokens = split_row(line)
        if not name:
            return ()
        wnids, confidences = classes.parse(tokens)
        check_address(name)
        if not is_url(name) and not is_inside(name):
            raise ValueError(f"{name[:200]!r}: no relative path")
        ref = find_image(name) if find_image else None
        image_id = f"tencent/{name}"
        return (AnnotatedImage(image_id, source, wnids, confidences, ref),)

    return read_rows(part, parse)


def split_row(line: str) -> tuple[str, list[str]]:
    """Returns the name, "" in a blank line, and the other columns.

    Where a tab follows the name, the name may hold spaces.
    """
    name, tab, rest = line.partition("\t")
    if tab:
        return name.strip(), rest.split()
    columns = line.split()
    return (columns[0], columns[1:]) if columns else ("", [])


LISTS = Reader(
    SourceOption(
        "tencent_lists",
        "Tencent list",
        "Tencent ML-Images list: file name or URL, class:confidence ...",
        check_file,
    ),
    find_list,
    read_list,
    bytes_an_image=120,
    takes=(IMAGES, DICTIONARY),
    needs=(DICTIONARY, IMAGES),
)
RECORDS = Reader(
    SourceOption(
        "tencent_records",
        "Tencent records",
        "Tencent ML-Images TFRecord file, or a folder of them.",
        check_file,
    ),
    find_records,
    read_records,
    bytes_an_image=130_000,
    takes=(DICTIONARY,),
    needs=(DICTIONARY,),
)
