"""Checks of the images of a partition: read, decoded and hashed once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from beam_jobs.dataset_job.carried import BOXES, MASKS, SIZE, WRONG
from beam_jobs.dataset_job.join_images import JoinedImages
from beam_jobs.dataset_job.options import ImageChecks
from beam_jobs.files import storage
from beam_jobs.files.read_ahead import ReadAhead
from beam_jobs.images.check_image import (
    CheckedImage,
    ImageError,
    ImageFacts,
    check_and_convert,
)
from beam_jobs.images.image_ref import ImageReader, ImageRef
from beam_jobs.images.near_duplicates import hash_thumbnails
from beam_jobs.images.regions import check_size
from beam_jobs.rejections import Reason, Rejection
from beam_jobs.runners import progress

_BATCH = 32
# Bytes of an image; from there on two threads are faster than one.
_SMALL = 16 << 10


@dataclass
class CheckedImages:
    """What the checks found, image by image of those that passed.

    Attributes:
        kept: places of the images among those that were checked.
        digests: SHA-256 of their files.
        perceptual: `near_duplicates.hash_thumbnails`.
        heights, widths: pixels.
        offsets, lengths: of the converted bytes; -1, 0 for images as they are.
        rejections: of all others.
    """

    kept: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    perceptual: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)

    @classmethod
    def of_ids(cls, images: JoinedImages) -> CheckedImages:
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


_Answer = Rejection | CheckedImage


def check_images(
    images: JoinedImages,
    path_names: Sequence[str],
    checks: ImageChecks,
    converted: str,
) -> CheckedImages:
    """Reads and checks images, some at a time, in threads where that is faster.

    Args:
        images: where they lie.
        path_names: of the files.
        checks: how images are read.
        converted: file for the bytes of those that are not good as they are;
            not made if there are none.
    """
    checked, offset = CheckedImages(), 0
    temporary = storage.work_file(converted)
    with open(temporary, "wb") as file:
        answers = _answers(images, path_names, checks)
        for i, (answer, hash_) in enumerate(answers):
            if isinstance(answer, Rejection):
                checked.rejections.append(answer)
                continue
            facts, data = answer.facts, answer.converted
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
    regions = _regions_said(images)
    none = pa.nulls(len(images), pa.string())
    wrongs = images.carried.get(WRONG, none).to_pylist()
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
            answer = _check(ids[i], ref, rotation, reader, checks)
            if (wrong := wrongs[i]) and isinstance(answer, CheckedImage):
                reason = Reason.BAD_BOX
                answer = Rejection(reason, ids[i], wrong, ref.path)
            answers.append(_with_regions(answer, regions.get(i), ids[i], ref))
        reader.close()
        return answers

    threads = _threads(images.lengths, path_names)
    # A few batches ahead of the consumer, so that little is held in memory.
    checked = ReadAhead(check, batches, threads=threads, ahead=4 * threads)
    for answers in checked:
        passed = [a.thumbnail for a in answers if isinstance(a, CheckedImage)]
        progress.advance(len(answers))
        hashes = iter(hash_thumbnails(passed).tolist())
        for answer in answers:
            yield (
                answer,
                next(hashes) if isinstance(answer, CheckedImage) else 0,
            )


def _regions_said(images: JoinedImages) -> dict[int, tuple[str, int]]:
    """Returns by image with boxes or masks: of which size, how many masks."""
    found: dict[int, tuple[str, int]] = {}
    none = pa.nulls(len(images), pa.string())
    sizes = images.carried.get(SIZE, none).to_pylist()
    for name in (BOXES, MASKS):
        column = images.carried.get(name, none)
        for i in np.flatnonzero(column.is_valid()).tolist():
            masks = len(column[i]) if name == MASKS else 0
            found[i] = (sizes[i] or "", masks)
    return found


def _with_regions(
    answer: _Answer,
    said: tuple[str, int] | None,
    image_id: str,
    ref: ImageRef,
) -> _Answer:
    """Rejects an image that its boxes or its mask are not of."""
    if said is None or isinstance(answer, Rejection):
        return answer
    size, masks = said
    try:
        check_size(size, answer.upright, answer.turned)
        if masks > 1:
            raise ValueError(f"{masks} masks, which differ")
    except ValueError as error:
        return Rejection(Reason.OTHER_SIZE, image_id, str(error), ref.path)
    return answer


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
