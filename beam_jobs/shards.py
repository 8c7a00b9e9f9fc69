"""Writing one shard: sorted, complete, under a temporary name, then moved."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from beam_jobs import layout
from beam_jobs.augmentation import find_unclosed
from beam_jobs.files import ImageReader
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.images import ImageLimits, to_jpeg
from beam_jobs.records import Record, to_example
from beam_jobs.transforms import LabelledImage


@dataclass(frozen=True)
class ShardInfo:
    """What was written.

    Attributes:
        split: its split.
        path: within the data set folder.
        records: how many.
        bytes: of the file.
        label_bytes: of all records, less the images.
        sha256: over all serialized records, in order (hex).
    """

    split: str
    path: str
    records: int
    bytes: int
    label_bytes: int
    sha256: str


class UnclosedRecordError(RuntimeError):
    """A record lacks an ancestor of one of its labels: a defect, not input."""


def shard_order(image: LabelledImage) -> tuple[str, str]:
    """Orders records within a shard: as good as random, always the same."""
    digest = hashlib.sha256(image.image.image_id.encode()).hexdigest()
    return digest, image.image.image_id


def write_shard(
    dataset: str,
    split: str,
    index: int,
    count: int,
    images: Iterable[LabelledImage],
    hierarchy: Hierarchy,
    limits: ImageLimits,
) -> ShardInfo:
    """Writes the images of one shard and returns what was written.

    Raises:
        UnclosedRecordError: a record is not closed under the hierarchy.
        OSError: an image vanished since it was checked, or the disk is full.
    """
    import tensorflow as tf

    name = layout.shard_path(split, index, count)
    final = os.path.join(dataset, name)
    temporary = f"{final}.part"
    tf.io.gfile.makedirs(os.path.dirname(final))
    digest = hashlib.sha256()
    records = label_bytes = 0
    reader = ImageReader()
    with tf.io.TFRecordWriter(temporary) as writer:
        for image in sorted(images, key=shard_order):
            record = _to_record(image, reader, limits)
            _check_closed(record, hierarchy)
            example = to_example(record)
            writer.write(example)
            digest.update(example)
            records += 1
            label_bytes += len(example) - len(record.encoded)
    reader.close()
    tf.io.gfile.rename(temporary, final, overwrite=True)
    size = tf.io.gfile.stat(final).length
    return ShardInfo(
        split, name, records, size, label_bytes, digest.hexdigest()
    )


def _to_record(
    image: LabelledImage, reader: ImageReader, limits: ImageLimits
) -> Record:
    data = reader.read(image.image.ref)
    if hashlib.sha256(data).hexdigest() != image.facts.sha256:
        raise OSError(f"{image.image.ref.path} changed while the job ran")
    if not image.facts.as_is:
        data = to_jpeg(data, limits, image.image.rotation)
    return Record(
        image_id=image.image.image_id,
        encoded=data,
        height=image.facts.height,
        width=image.facts.width,
        labels=image.labels,
        absent=image.absent,
    )


def _check_closed(record: Record, hierarchy: Hierarchy) -> None:
    unclosed = find_unclosed(record.labels, hierarchy)
    if unclosed:
        raise UnclosedRecordError(
            f"record {record.image_id}: (class, missing or less confident "
            f"ancestor): {unclosed[:5]}"
        )
