"""First stage: one part of a source -> a file of rows by image id."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from beam_jobs.dataset_job.carried import COLUMNS, to_columns
from beam_jobs.dataset_job.unpack_images import unpack_images
from beam_jobs.files import storage
from beam_jobs.images.image_names import is_encodable
from beam_jobs.images.origin import Origin
from beam_jobs.images.regions import Regions
from beam_jobs.rejections import Reason, Rejection, save_rejections
from beam_jobs.runners import progress
from beam_jobs.runners.shuffle_files import list_column, write_partitions
from beam_jobs.sources.find_sources import is_packed, read_part
from beam_jobs.sources.reader import AnnotatedImage, Part

CLASS_KEYS = "class_keys"
PATHS = "paths"
UNPACKED = "unpacked"

_ROWS_A_STEP = 4096


@dataclass(frozen=True)
class ReadPart:
    """What became of one part.

    Attributes:
        path: the file with its rows.
        partitions: those with rows.
        rejected: rejections by reason.
        rejections: file of the rejections; "" if there are none.
    """

    path: str
    partitions: list[int]
    rejected: dict[str, int]
    rejections: str


def read_to_file(
    number: int, part: Part, work: str, partitions: int
) -> ReadPart:
    """Reads one part and writes its rows, partitioned by image id.

    Args:
        number: of the part, for file names.
        part: what to read.
        work: folder for files between stages.
        partitions: how many there are.

    Raises:
        OSError: the work folder cannot be written.
    """
    rows, rejections = AnnotationRows(), []
    items = read_part(part)
    if is_packed(part):
        unpacked = storage.join(work, UNPACKED, f"{number:06d}.bin")
        items = unpack_images(items, unpacked)
    for item in _with_progress(items):
        if isinstance(item, Rejection):
            rejections.append(item)
        elif is_encodable(item.image_id):
            rows.add(item)
        else:
            rejections.append(_unnamed(item))
    path = storage.join(work, "read", f"{number:06d}.arrow")
    rejected_path = storage.join(work, "rejected", f"read-{number:06d}.jsonl")
    found = rows.write(path, partitions)
    rejected = save_rejections(rejected_path, rejections)
    return ReadPart(path, found, rejected, rejected_path if rejected else "")


def _unnamed(image: AnnotatedImage) -> Rejection:
    """Returns the dead letter of an image that no record can name."""
    path = image.ref.path if image.ref else ""
    detail = "its name is no UTF-8 text: rename it"
    return Rejection(Reason.UNREADABLE_FILE, image.image_id, detail, path)


def _with_progress(items: Iterator) -> Iterator:
    count = 0
    for item in items:
        yield item
        count += 1
        if count % _ROWS_A_STEP == 0:
            progress.advance(_ROWS_A_STEP)
    progress.advance(count % _ROWS_A_STEP)


class _Codes(dict[str, int]):
    """Numbers texts in the order in which they are first asked for."""

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self)
        return code


@dataclass
class AnnotationRows:
    """AnnotatedImages as columns while they are read."""

    image_ids: list[str] = field(default_factory=list)
    sources: array = field(default_factory=lambda: array("B"))
    rotations: array = field(default_factory=lambda: array("h"))
    paths: array = field(default_factory=lambda: array("i"))
    offsets: array = field(default_factory=lambda: array("q"))
    lengths: array = field(default_factory=lambda: array("q"))
    row_ends: array = field(default_factory=lambda: array("q"))
    classes: array = field(default_factory=lambda: array("i"))
    confidences: array = field(default_factory=lambda: array("f"))
    class_codes: _Codes = field(default_factory=lambda: _Codes())
    path_codes: _Codes = field(default_factory=lambda: _Codes())
    # Of a column of `carried.COLUMNS` the values that there are, by row.
    carried: dict[str, dict[int, Any]] = field(
        default_factory=lambda: {name: {} for name in COLUMNS}
    )

    def add(self, image: AnnotatedImage) -> None:
        (
            image_id,
            source,
            classes,
            confidences,
            ref,
            rotation,
            split,
            origin,
            regions,
        ) = image
        if split or origin or regions:
            self._carry(split, origin or Origin(), regions or Regions())
        self.image_ids.append(image_id)
        self.sources.append(source)
        self.rotations.append(-1 if rotation is None else rotation)
        if ref is None:
            self.paths.append(-1)
            self.offsets.append(0)
            self.lengths.append(0)
        else:
            self.paths.append(self.path_codes[ref.path])
            self.offsets.append(ref.offset)
            self.lengths.append(ref.length)
        self.classes.extend(map(self.class_codes.__getitem__, classes))
        self.confidences.extend(confidences)
        self.row_ends.append(len(self.classes))

    def _carry(
        self, split: str | None, origin: Origin, regions: Regions
    ) -> None:
        said = (split, *origin, *regions)
        for name, value in zip(COLUMNS, said, strict=True):
            if value:
                self.carried[name][len(self.image_ids)] = value

    def write(self, path: str, partitions: int) -> list[int]:
        row_splits = np.concatenate(([0], _numbers(self.row_ends)))
        table = pa.table(
            {
                "image_id": pa.array(self.image_ids, pa.string()),
                "source": _numbers(self.sources),
                "rotation": _numbers(self.rotations),
                "path": _numbers(self.paths),
                "offset": _numbers(self.offsets),
                "length": _numbers(self.lengths),
                "classes": list_column(row_splits, _numbers(self.classes)),
                "confidences": list_column(
                    row_splits, _numbers(self.confidences)
                ),
                **to_columns(self.carried, len(self.image_ids)),
            }
        )
        # Python's own hash differs from process to process.
        partition = np.fromiter(
            (zlib.crc32(i.encode()) % partitions for i in self.image_ids),
            np.int64,
            len(self.image_ids),
        )
        lists = {
            CLASS_KEYS: list(self.class_codes),
            PATHS: list(self.path_codes),
        }
        return write_partitions(path, table, partition, lists)


def _numbers(values: array) -> np.ndarray:
    return (
        np.frombuffer(values, values.typecode)
        if values
        else np.empty(0, values.typecode)
    )
