"""The images of a shard, batch by batch, read ahead of the model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import tensorflow as tf

from beam_jobs.dataset import read_records, records
from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from beam_jobs.files.read_ahead import ReadAhead
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.rejections import Reason, Rejection
from serving.api import contract
from serving.bulk.inputs import Shard
from serving.client.batches import BatchLimits, cut

# A batch is closed by number or by bytes, whatever comes first.
BATCH_BYTES = 32 * 1024**2

# Reading waits for object stores, not for a core.
_THREADS = 8
_IMAGES_A_READ = 4
_BATCHES_AHEAD = 2


class Image(NamedTuple):
    """The bytes of one image.

    Attributes:
        name: as its row has it.
        path: the file it lies in.
        data: its bytes, as they are.
    """

    name: str
    path: str
    data: bytes


@dataclass
class Batch:
    """Some images of a shard, and those that could not be read."""

    images: list[Image] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)


_Named = tuple[str, ImageRef]


def read_batches(shard: Shard, batch_size: int) -> Iterator[Batch]:
    """Yields the images of a shard in its order.

    Which images share a batch depends on the shard alone.
    """
    if shard.records:
        yield from _read_records(shard.records, batch_size)
    else:
        yield from _read_files(shard.images, batch_size)


def _read_files(images: Iterable[_Named], batch_size: int) -> Iterator[Batch]:
    # Ahead are batches, not reads: a batch is what has a bound in bytes.
    ahead = _BATCHES_AHEAD
    with ThreadPoolExecutor(_THREADS) as readers:
        yield from ReadAhead(
            lambda cut: _join(readers.map(_read, _split(cut))),
            _cut(images, batch_size),
            threads=ahead,
            ahead=ahead,
        )


def _cut(images: Iterable[_Named], batch_size: int) -> Iterator[list[_Named]]:
    """Yields batches by number and by the bytes that the listing says."""

    def room(image: _Named) -> int:
        length = image[1].length
        # What is too large is not read, so it takes no room.
        return length if length <= contract.MAX_IMAGE_BYTES else 0

    return cut(images, BatchLimits(batch_size, BATCH_BYTES), room)


def _split(batch: list[_Named]) -> list[list[_Named]]:
    starts = range(0, len(batch), _IMAGES_A_READ)
    return [batch[start : start + _IMAGES_A_READ] for start in starts]


def _read(some: Sequence[_Named]) -> Batch:
    found = Batch()
    reader = ImageReader()
    for name, ref in some:
        item = _read_one(name, ref, reader)
        if isinstance(item, Rejection):
            found.rejections.append(item)
        else:
            found.images.append(item)
    reader.close()
    return found


def _read_one(
    name: str, ref: ImageRef, reader: ImageReader
) -> Image | Rejection:
    most = contract.MAX_IMAGE_BYTES
    if ref.length > most:
        detail = f"{ref.length} bytes, allowed: {most}"
        return Rejection(Reason.TOO_MANY_BYTES, name, detail, ref.path)
    try:
        return Image(name, ref.path, reader.read(ref, most))
    except FileNotFoundError:
        detail = "there is no such file"
        return Rejection(Reason.MISSING_IMAGE, name, detail, ref.path)
    except OSError as error:
        detail = str(error)
        return Rejection(Reason.UNREADABLE_FILE, name, detail, ref.path)


def _join(parts: Iterable[Batch]) -> Batch:
    done = list(parts)
    return Batch(
        [image for part in done for image in part.images],
        [letter for part in done for letter in part.rejections],
    )


def _read_records(path: str, batch_size: int) -> Iterator[Batch]:
    """Yields the images of a TFRecord file of the data set job."""
    tensorflow_files.register(path)
    limits = BatchLimits(batch_size, BATCH_BYTES)
    images = _record_images(path, batch_size)
    try:
        for batch in cut(images, limits, lambda image: len(image.data)):
            yield Batch(batch)
    except (InputError, tf.errors.OpError) as error:
        # What was read before the damage is good, and on its way.
        detail = str(error).splitlines()[0][:500]
        letter = Rejection(Reason.UNREADABLE_ARCHIVE, path, detail, path)
        yield Batch(rejections=[letter])


def _record_images(path: str, batch_size: int) -> Iterator[Image]:
    done = 0
    try:
        for image in _parse(path, batch_size):
            yield image
            done += 1
        return
    except (InputError, tf.errors.OpError):
        # Good records may share a batch with the damage.
        pass
    # One by one, up to the damage; what has been yielded is passed over.
    yield from itertools.islice(_parse(path, 1), done, None)


def _parse(path: str, batch_size: int) -> Iterator[Image]:
    file = tensorflow_files.tensorflow_path(path)
    for batch in read_records.read_batches(file, batch_size):
        encoded = batch.parsed[records.IMAGE_ENCODED].numpy()
        for name, data in zip(batch.image_ids, encoded, strict=True):
            yield Image(name, path, data)
