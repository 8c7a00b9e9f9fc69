"""Second stage: one partition of rows -> images that are checked and known."""

from __future__ import annotations

import hashlib
import os
from collections.abc import (
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from beam_jobs.dataset_job.join_images import JoinedImages, join_rows, read_rows
from beam_jobs.dataset_job.options import ImageChecks
from beam_jobs.dataset_job.read_annotations import UNPACKED
from beam_jobs.dataset_job.splits import uniform
from beam_jobs.files import storage
from beam_jobs.files.read_ahead import ReadAhead
from beam_jobs.images.check_image import (
    ImageError,
    ImageFacts,
    check_and_convert,
)
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.images.near_duplicates import hash_thumbnails
from beam_jobs.labels.ledger import BY_PARENT
from beam_jobs.labels.ragged_columns import take_rows
from beam_jobs.rejections import (
    Reason,
    Rejection,
    UnbalancedError,
    count_images,
    save_rejections,
)
from beam_jobs.runners import progress
from beam_jobs.runners.shuffle_files import list_column, write_partitions

# Of a shuffle file: images of one content lie in one of them, and a shard
# reads some.
PARTITIONS = 64
SHARD_SALT = "shard"
PATHS = "paths"

_BATCH = 32
# Bytes of an image; from there on two threads are faster than one.
_SMALL = 16 << 10


@dataclass(frozen=True)
class AssembledPartition:
    """What became of one partition.

    Attributes:
        path: the file with its images.
        images_in: how many there were.
        rejected: rejections by reason.
        rejections: file of the rejections; "" if there are none.
    """

    path: str
    images_in: int
    rejected: dict[str, int]
    rejections: str


def assemble_partition(
    number: int,
    paths: Sequence[str],
    work: str,
    class_ids: Mapping[str, int],
    inexact: Container[str],
    by_parent: Container[str],
    min_confidence: float,
    checks: ImageChecks,
) -> AssembledPartition:
    """Joins and checks the images of one partition.

    An image that will have no label is never read.

    Args:
        number: of the partition.
        paths: the files of the first stage that have rows of it.
        work: folder for files between stages.
        class_ids: class index by class key; others have none.
        inexact: keys whose absence says nothing of their class.
        by_parent: those of them whose class stands for a finer one that the
            vocabulary lacks.
        min_confidence: least confidence of a positive.
        checks: how images are read.

    Raises:
        UnbalancedError: an image got lost.
    """
    rows = read_rows(paths, number)
    images, rejections, images_in = join_rows(rows, not checks.labels_only)
    ids = _class_ids(images, rows.class_keys, class_ids, inexact)
    images = _with_parents(images, rows.class_keys, by_parent)
    images, ids, unlabelled = _labelled(
        images, ids, min_confidence, rows.class_keys, rows.path_names
    )
    rejections += unlabelled
    converted = storage.join(work, "converted", f"{number:06d}.bin")
    checked = (
        _Checked.of_ids(images)
        if checks.labels_only
        else _check_all(images, rows.path_names, checks, converted)
    )
    rejections += checked.rejections
    unpacked = storage.join(work, UNPACKED, "")
    rejections = [
        # It goes when the job is done; the id tells file and row.
        replace(r, path="") if r.path.startswith(unpacked) else r
        for r in rejections
    ]
    path = storage.join(work, "images", f"{number:06d}.arrow")
    _write(path, images, ids, checked, [*rows.path_names, converted])
    rejected_path = storage.join(work, "rejected", f"images-{number:06d}.jsonl")
    rejected = save_rejections(rejected_path, rejections)
    _check_balance(number, images_in, len(checked.kept), rejected)
    return AssembledPartition(
        path, images_in, rejected, rejected_path if rejected else ""
    )


def _check_balance(
    number: int, images_in: int, kept: int, rejected: Mapping[str, int]
) -> None:
    lost = count_images(rejected)
    if images_in != kept + lost:
        raise UnbalancedError(
            f"partition {number}: {images_in} images in, {kept} kept, "
            f"{lost} rejected"
        )


def _class_ids(
    images: JoinedImages,
    class_keys: Sequence[str],
    class_ids: Mapping[str, int],
    inexact: Container[str],
) -> np.ndarray:
    known = np.array([class_ids.get(k, -1) for k in class_keys], np.int32)
    vague = np.array([k in inexact for k in class_keys], bool)
    silent = vague[images.classes] & (images.confidences == 0)
    return np.where(silent, np.int32(-1), known[images.classes])


def _with_parents(
    images: JoinedImages, class_keys: Sequence[str], by_parent: Container[str]
) -> JoinedImages:
    stands = np.array([k in by_parent for k in class_keys], np.uint8)
    if not stands.any():
        return images
    added = stands[images.classes] * np.uint8(BY_PARENT)
    sources = images.sources.astype(np.uint8) + added
    return replace(images, sources=sources)


def _labelled(
    images: JoinedImages,
    ids: np.ndarray,
    min_confidence: float,
    class_keys: Sequence[str],
    path_names: Sequence[str],
) -> tuple[JoinedImages, np.ndarray, list[Rejection]]:
    has_labels = has_positive(
        images.row_splits, ids, images.confidences, min_confidence
    )
    without, kept = np.flatnonzero(~has_labels), np.flatnonzero(has_labels)
    rejections = [
        Rejection(
            Reason.NO_LABEL_IN_VOCABULARY,
            images.image_ids[int(i)].as_py(),
            _describe(images, int(i), class_keys),
            path_names[images.paths[i]] if images.paths[i] >= 0 else "",
        )
        for i in without
    ]
    _, values = take_rows(images.row_splits, kept)
    return images.take(kept), ids[values], rejections


def has_positive(
    row_splits: np.ndarray,
    ids: np.ndarray,
    confidences: np.ndarray,
    min_confidence: float,
) -> np.ndarray:
    """Returns bool [images]: `Augmenter` with all rules gives it a label.

    The rules add labels to a positive and never take one away, so it is
    enough to look for a positive of a known class.

    Args:
        row_splits: int64 [images + 1], of the next two.
        ids: int32 [values], class index, -1 for none.
        confidences: float32 [values].
        min_confidence: least confidence of a positive.
    """
    # As the float32 that annotations hold: 0.7 itself is a little more.
    positive = (ids >= 0) & (confidences >= np.float32(min_confidence))
    return np.diff(np.append(0, np.cumsum(positive))[row_splits]) > 0


def _describe(images: JoinedImages, i: int, class_keys: Sequence[str]) -> str:
    values = range(images.row_splits[i], images.row_splits[i + 1])
    said = {
        f"{class_keys[images.classes[v]]}:{images.confidences[v]:g}"
        for v in values
    }
    return ("only " + ", ".join(sorted(said)))[:300]


@dataclass
class _Checked:
    """What the checks found, image by image of those that passed."""

    kept: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    perceptual: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    # Offset and length of the converted bytes; -1, 0 for images as they are.
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @classmethod
    def of_ids(cls, images: JoinedImages) -> _Checked:
        """Returns the contents of images that are not read: their ids."""
        ids = images.image_ids.to_pylist()
        none = [0] * len(ids)
        digests = [hashlib.sha256(i.encode()).digest() for i in ids]
        progress.advance(len(ids))
        no_offset = [-1] * len(ids)
        return cls(
            [*range(len(ids))], digests, none, none, none, no_offset, none
        )

    def add(
        self, i: int, facts: ImageFacts, hash_: int, offset: int, length: int
    ) -> None:
        self.kept.append(i)
        self.digests.append(bytes.fromhex(facts.sha256))
        self.perceptual.append(hash_)
        self.heights.append(facts.height)
        self.widths.append(facts.width)
        self.offsets.append(offset)
        self.lengths.append(length)


_Answer = Rejection | tuple[ImageFacts, bytes | None]


def _check_all(
    images: JoinedImages,
    path_names: Sequence[str],
    checks: ImageChecks,
    converted: str,
) -> _Checked:
    checked, offset = _Checked(), 0
    temporary = storage.work_file(converted)
    with open(temporary, "wb") as file:
        answers = _answers(images, path_names, checks)
        for i, (answer, hash_) in enumerate(answers):
            if isinstance(answer, Rejection):
                checked.rejections.append(answer)
                continue
            facts, data = answer
            start, length = (-1, 0) if data is None else (offset, len(data))
            checked.add(i, facts, hash_, start, length)
            file.write(data or b"")
            offset += length
    if offset:
        storage.publish(temporary, converted)
    else:
        os.remove(temporary)
    return checked


def _answers(
    images: JoinedImages, path_names: Sequence[str], checks: ImageChecks
) -> Iterator[tuple[_Answer, int]]:
    """Yields one answer an image, in order; the hash of one that passed."""
    ids = images.image_ids.to_pylist()
    batches = [
        range(start, min(start + _BATCH, len(images)))
        for start in range(0, len(images), _BATCH)
    ]

    def check(batch: Iterable[int]) -> list[_Answer]:
        reader = ImageReader()
        answers = []
        for i in batch:
            ref = ImageRef(
                path_names[images.paths[i]],
                int(images.offsets[i]),
                int(images.lengths[i]),
            )
            rotation = int(images.rotations[i])
            answers.append(_check(ids[i], ref, rotation, reader, checks))
        reader.close()
        return answers

    threads = _threads(images.lengths, path_names)
    # A few batches ahead of the consumer, so that little is held in memory.
    checked = ReadAhead(check, batches, threads=threads, ahead=4 * threads)
    for answers in checked:
        passed = [a[0].thumbnail for a in answers if isinstance(a, tuple)]
        progress.advance(len(answers))
        hashes = iter(hash_thumbnails(passed).tolist())
        for answer in answers:
            yield answer, next(hashes) if isinstance(answer, tuple) else 0


def _threads(lengths: np.ndarray, path_names: Sequence[str]) -> int:
    """Pillow lets go of Python's lock while it decodes.

    Of small images that is too short: threads that wait for each other's
    lock take longer than one alone, except for bytes from afar.
    """
    is_small = len(lengths) and 0 <= lengths.min() <= lengths.mean() < _SMALL
    if is_small and not any(map(storage.is_remote, path_names)):
        return 1
    return min(8, os.cpu_count() or 1)


def _check(
    image_id: str,
    ref: ImageRef,
    rotation: int,
    reader: ImageReader,
    checks: ImageChecks,
) -> _Answer:
    def rejection(reason: Reason, detail: object) -> Rejection:
        return Rejection(reason, image_id, str(detail), ref.path)

    # Before reading: a length is known wherever a source was listed.
    if ref.length > checks.limits.max_bytes:
        return rejection(Reason.TOO_MANY_BYTES, f"{ref.length} bytes")
    try:
        data = reader.read(ref, checks.limits.max_bytes)
        return check_and_convert(
            data, checks.limits, rotation, checks.short_side
        )
    except ImageError as error:
        return rejection(error.reason, error)
    except (FileNotFoundError, NotADirectoryError):
        return rejection(Reason.MISSING_IMAGE, "there is no such file")
    # What no file can be named, or a store that cannot be reached from here.
    except (OSError, ValueError) as error:
        return rejection(Reason.UNREADABLE_FILE, error)


def _write(
    path: str,
    images: JoinedImages,
    ids: np.ndarray,
    checked: _Checked,
    path_names: list[str],
) -> None:
    kept = np.array(checked.kept, np.int64)
    _, values = take_rows(images.row_splits, kept)
    images, ids = images.take(kept), ids[values]
    digests = np.frombuffer(b"".join(checked.digests), ">u8").reshape(-1, 4)
    content = digests[:, 0].astype(np.uint64)
    offsets = np.array(checked.offsets, np.int64)
    # An empty list alone would make floats of the column.
    lengths = np.array(checked.lengths, np.int64)
    as_is = offsets < 0
    splits, known = _known(images.row_splits, ids)
    table = pa.table(
        {
            "content": content,
            "perceptual": np.array(checked.perceptual, np.uint64),
            "sha256": pa.array(checked.digests, pa.binary(32)),
            "image_id": images.image_ids,
            "height": np.array(checked.heights, np.int32),
            "width": np.array(checked.widths, np.int32),
            "as_is": as_is,
            "path": np.where(as_is, images.paths, len(path_names) - 1),
            "offset": np.where(as_is, images.offsets, offsets),
            "length": np.where(as_is, images.lengths, lengths),
            "classes": list_column(splits, ids[known]),
            "confidences": list_column(splits, images.confidences[known]),
            "sources": list_column(splits, images.sources[known]),
            **images.carried,
        }
    )
    number = (uniform(content, SHARD_SALT) * PARTITIONS).astype(np.int64)
    write_partitions(path, table, number, {PATHS: path_names})


def _known(
    row_splits: np.ndarray, ids: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Leaves out classes that the vocabulary lacks."""
    known = ids >= 0
    return np.append(0, np.cumsum(known))[row_splits], known
