"""Second stage: one partition of rows -> images that are checked and known."""

from __future__ import annotations

from collections.abc import (
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from beam_jobs.dataset_job.check_images import CheckedImages, check_images
from beam_jobs.dataset_job.join_images import JoinedImages, join_rows, read_rows
from beam_jobs.dataset_job.options import ImageChecks
from beam_jobs.dataset_job.read_annotations import UNPACKED
from beam_jobs.dataset_job.splits import uniform
from beam_jobs.files import storage
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import BY_PARENT, Source
from beam_jobs.labels.ragged_columns import Annotations, take_rows
from beam_jobs.rejections import (
    Reason,
    Rejection,
    UnbalancedError,
    count_images,
    save_rejections,
)
from beam_jobs.runners.shuffle_files import list_column, write_partitions

# Of a shuffle file: images of one content lie in one of them, and a shard
# reads some.
PARTITIONS = 64
SHARD_SALT = "shard"
PATHS = "paths"


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


@dataclass(frozen=True)
class KnownClasses:
    """What the class keys of annotations mean.

    Attributes:
        ids: class index by class key; others have none.
        inexact: keys whose absence says nothing of their class.
        by_parent: those of them whose class stands for a finer one that the
            vocabulary lacks.
    """

    ids: Mapping[str, int]
    inexact: Container[str] = ()
    by_parent: Container[str] = ()


def assemble_partition(
    number: int,
    paths: Sequence[str],
    work: str,
    known: KnownClasses,
    label_rules: LabelRules,
    checks: ImageChecks,
) -> AssembledPartition:
    """Joins and checks the images of one partition.

    An image that will have no label is never read.

    Args:
        number: of the partition.
        paths: the files of the first stage that have rows of it.
        work: folder for files between stages.
        known: the classes.
        label_rules: tell which images will have labels.
        checks: how images are read.

    Raises:
        UnbalancedError: an image got lost.
    """
    rows = read_rows(paths, number)
    images, rejections, images_in = join_rows(rows, not checks.labels_only)
    ids = _class_ids(images, rows.class_keys, known)
    images = _with_parents(images, rows.class_keys, known.by_parent)
    images, ids, unlabelled = _labelled(
        images, ids, label_rules, rows.class_keys, rows.path_names
    )
    rejections += unlabelled
    converted = storage.join(work, "converted", f"{number:06d}.bin")
    checked = (
        CheckedImages.of_ids(images)
        if checks.labels_only
        else check_images(images, rows.path_names, checks, converted)
    )
    rejections += checked.rejections
    path = storage.join(work, "images", f"{number:06d}.arrow")
    _write(path, images, ids, checked, [*rows.path_names, converted])
    rejected_path = storage.join(work, "rejected", f"images-{number:06d}.jsonl")
    rejected = save_rejections(
        rejected_path, _without_unpacked(rejections, work)
    )
    _check_balance(number, images_in, len(checked.kept), rejected)
    return AssembledPartition(
        path, images_in, rejected, rejected_path if rejected else ""
    )


def _without_unpacked(
    rejections: Iterable[Rejection], work: str
) -> Iterator[Rejection]:
    """Yields dead letters without the path of a file of unpacked images.

    It goes when the job is done; the id tells file and row.
    """
    unpacked = storage.join(work, UNPACKED, "")
    for letter in rejections:
        kept = not letter.path.startswith(unpacked)
        yield letter if kept else replace(letter, path="")


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
    images: JoinedImages, class_keys: Sequence[str], known: KnownClasses
) -> np.ndarray:
    ids = np.array([known.ids.get(k, -1) for k in class_keys], np.int32)
    vague = np.array([k in known.inexact for k in class_keys], bool)
    silent = vague[images.classes] & (images.confidences == 0)
    return np.where(silent, np.int32(-1), ids[images.classes])


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
    label_rules: LabelRules,
    class_keys: Sequence[str],
    path_names: Sequence[str],
) -> tuple[JoinedImages, np.ndarray, list[Rejection]]:
    has_labels = has_positive(
        images.row_splits, ids, images.confidences, label_rules.min_confidence
    )
    has_labels &= _left_by_corrections(images, ids, label_rules)
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


def _left_by_corrections(
    images: JoinedImages, ids: np.ndarray, label_rules: LabelRules
) -> np.ndarray:
    """Tells which images keep a label; the rules are asked of corrected ones.

    They load compiled code, which other jobs need not do here.
    """
    left = np.ones(len(images), bool)
    denied = (images.sources == Source.CORRECTIONS) & (images.confidences == 0)
    count = np.append(0, np.cumsum(denied))[images.row_splits]
    corrected = np.flatnonzero(np.diff(count))
    if len(corrected):
        splits, values = take_rows(images.row_splits, corrected)
        columns = (ids, images.confidences, images.sources)
        said = Annotations(splits, *(column[values] for column in columns))
        left[corrected] = np.diff(label_rules.label(said).labels.row_splits) > 0
    return left


def has_positive(
    row_splits: np.ndarray,
    ids: np.ndarray,
    confidences: np.ndarray,
    min_confidence: float,
) -> np.ndarray:
    """Returns bool [images]: `LabelRules` with all rules gives it a label.

    But for corrections, the rules add labels to a positive and never take one
    away, so it is enough to look for a positive of a known class.

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


def _write(
    path: str,
    images: JoinedImages,
    ids: np.ndarray,
    checked: CheckedImages,
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
