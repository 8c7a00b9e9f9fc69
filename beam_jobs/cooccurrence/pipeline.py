"""The co-occurrence job: predictions -> pairs of classes (paper, 2.3).

    tagforest cooccurrence --scores FILE --dataset DATASET --out pairs.tsv
    tagforest cooccurrence --model SAVEDMODEL --dataset DATASET --out ...

An image has the classes that a model gives a posterior over 0.95 and, if it
is in the data set, those of its annotation with their ancestors. n_i images
have class i and n_ij have i and j.

Rows travel through files partitioned by image id (see `shuffle_files`), so that
what several files say of an image comes together. Elements name parts of
the work: the job is one chain without side inputs and runs on any runner.
"""

from __future__ import annotations

import io
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from scipy.sparse import csr_array, load_npz, save_npz

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_classes, load_folder
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.cooccurrence import score_files
from beam_jobs.cooccurrence.find_pairs import count_pairs, find_pairs
from beam_jobs.cooccurrence.options import CooccurrenceOptions
from beam_jobs.dataset import dataset_folder
from beam_jobs.files import storage
from beam_jobs.files.disk_errors import disk_errors
from beam_jobs.files.folder_lock import hold_output
from beam_jobs.labels.pairs import Pairs
from beam_jobs.rejections import Rejection, save_rejections
from beam_jobs.runners import progress, shuffle_files
from beam_jobs.runners.beam_options import check_beam_args
from beam_jobs.runners.transforms import AllTogether, Spread, pipeline_of
from beam_jobs.sources.reader import Part, check_start

# Kinds of parts besides those of `scores`.
_LABELS, _PREDICT = "labels", "predict"

# Who speaks of an image, as bits.
_BY_LABELS, _BY_MODEL = 1, 2

_MOST_PARTITIONS = 256
_PARTITIONED, _COUNTED, _REJECTED = "partitioned", "counted", "rejected"
_SUMMARY = "summary.json"


@dataclass(frozen=True)
class Summary:
    """What the job counted.

    Attributes:
        images: images counted.
        with_labels, with_predictions: images of which the data set speaks,
            and the model.
        rows_in: rows of the files of scores, or records shown to the model;
            those used and those rejected.
        rejected: rows or records rejected, by reason.
        unknown_scores: scores of classes that the vocabulary lacks; they are
            left out.
        pairs: pairs found.
    """

    images: int
    with_labels: int
    with_predictions: int
    rows_in: int
    rejected: dict[str, int]
    unknown_scores: int
    pairs: int


@dataclass(frozen=True)
class _Context:
    """What every worker needs."""

    options: CooccurrenceOptions
    wnids: tuple[str, ...]
    hierarchy: Hierarchy
    work: str
    partitions: int


@dataclass
class _Read:
    """What became of one part."""

    path: str = ""
    partitions: list[int] = field(default_factory=list)
    rows_in: int = 0
    unknown_scores: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    rejections: str = ""


@dataclass
class _Counted:
    """What became of one partition."""

    path: str
    images: int
    with_labels: int
    with_predictions: int


def find_cooccurrence(
    options: CooccurrenceOptions,
    beam_args: Sequence[str] = (),
    *,
    show_progress: bool = True,
) -> tuple[Summary, Pairs, Vocabulary]:
    """Counts predictions and writes the pairs they give to `options.out`.

    Rejected rows go to `<out without its ending>.rejected.jsonl`.

    Args:
        options: what to count.
        beam_args: Beam's own options, as on its command line.
        show_progress: a bar, when the job runs in this process.

    Raises:
        InputError: wrong options or files, before the job starts.
    """
    check_beam_args(beam_args)
    vocabulary, hierarchy = _load_classes(options)
    wnids = tuple(c.wnid for c in vocabulary)
    parts = _find_parts(options, wnids)
    work = f"{options.out}.work"
    partition_count = min(len(parts), _MOST_PARTITIONS)
    context = _Context(options, wnids, hierarchy, work, partition_count)
    with disk_errors(options.out), hold_output(f"{options.out}.lock"):
        storage.remove_tree(work)
        try:
            with progress.bar("count predictions", "rows", show_progress):
                _run(parts, context, beam_args)
            path = storage.join(work, _SUMMARY)
            summary = Summary(**json.loads(storage.read_text(path)))
        finally:
            storage.remove_tree(work)
    return summary, Pairs.load(options.out, vocabulary), vocabulary


def rejected_path(out: str) -> str:
    """Returns where the rejected rows of a job go."""
    return os.path.splitext(out)[0] + ".rejected.jsonl"


def _load_classes(
    options: CooccurrenceOptions,
) -> tuple[Vocabulary, Hierarchy]:
    if options.dataset is None:
        return load_classes(options.vocabulary or "")
    return load_folder(options.dataset)


def _find_parts(
    options: CooccurrenceOptions, wnids: tuple[str, ...]
) -> list[Part]:
    shards = (
        [
            str(p)
            for p in dataset_folder.shard_paths(options.dataset, options.split)
        ]
        if options.dataset
        else []
    )
    if options.model:
        from beam_jobs.cooccurrence.predict import load_predictor
        from beam_jobs.dataset.read_records import check_has_images

        check_has_images(shards[0])
        load_predictor(options.model, wnids)
        return [Part(_PREDICT, shard) for shard in shards]
    parts = score_files.find_parts(options.scores)
    index = {wnid: i for i, wnid in enumerate(wnids)}
    for part in parts:
        if not part.start:
            check_start(
                part,
                lambda p: score_files.read_scores(p, index, options.posterior),
                "a row of predictions",
            )
    if not options.predictions_only:
        parts += [Part(_LABELS, shard) for shard in shards]
    return parts


def _run(
    parts: Sequence[Part], context: _Context, beam_args: Sequence[str]
) -> None:
    with pipeline_of(beam_args) as pipeline:
        (
            pipeline
            | "Parts" >> beam.Create(list(enumerate(parts)))
            | "Spread parts" >> Spread(_number)
            | "Read part" >> beam.Map(_read_part, context)
            | "All parts" >> AllTogether()
            | "Partitions" >> beam.FlatMap(_list_partitions, context)
            | "Spread partitions" >> Spread(_number)
            | "Count partition" >> beam.Map(_count_partition, context)
            | "All counts" >> AllTogether()
            | "Save pairs" >> beam.Map(_finish, context)
        )


def _number(numbered: tuple[int, Any]) -> int:
    return numbered[0]


def _read_part(numbered: tuple[int, Part], context: _Context) -> _Read:
    """Reads one part and writes its images, partitioned by image id."""
    number, part = numbered
    read = _Read(
        path=storage.join(context.work, _PARTITIONED, f"{number:06d}.arrow")
    )
    rejections: list[Rejection] = []
    ids_of: dict[str, set[int]] = {}
    bits, rows = _rows_of(part, context)
    for row in rows:
        progress.advance()
        read.rows_in += 1
        if isinstance(row, Rejection):
            rejections.append(row)
            continue
        image_id, ids, unknown = row
        ids_of.setdefault(image_id, set()).update(ids)
        read.unknown_scores += unknown
    if part.reader == _LABELS:
        read.rows_in = 0
    read.partitions = _write_images(read.path, ids_of, bits, context.partitions)
    name = f"{number:06d}.jsonl"
    path = storage.join(context.work, _REJECTED, name)
    read.rejected = save_rejections(path, rejections)
    read.rejections = path if rejections else ""
    return read


def _rows_of(
    part: Part, context: _Context
) -> tuple[int, Iterator[tuple[str, Iterable[int], int] | Rejection]]:
    """Returns who speaks, and (image id, classes, unknown scores) rows."""
    options = context.options
    if part.reader not in (_LABELS, _PREDICT):
        index = {wnid: i for i, wnid in enumerate(context.wnids)}
        return _BY_MODEL, score_files.read_scores(
            part, index, options.posterior
        )
    # TensorFlow only where records are read.
    from beam_jobs.cooccurrence import predict

    if options.model is None:
        labels = predict.annotated(part.path, context.hierarchy)
        return _BY_LABELS, labels
    predicted = predict.predict(
        part.path,
        predict.load_predictor(options.model, context.wnids),
        options.model,
        options.posterior,
        None if options.predictions_only else context.hierarchy,
    )
    by_labels = 0 if options.predictions_only else _BY_LABELS
    return _BY_MODEL | by_labels, predicted


def _write_images(
    path: str, ids_of: dict[str, set[int]], bits: int, count: int
) -> list[int]:
    image_ids = list(ids_of)
    lengths = [len(ids) for ids in ids_of.values()]
    row_splits = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    ids = np.fromiter(
        (i for found in ids_of.values() for i in sorted(found)), np.int32
    )
    table = pa.table(
        {
            "image_id": pa.array(image_ids, pa.string()),
            "bits": np.full(len(image_ids), bits, np.uint8),
            "ids": shuffle_files.list_column(row_splits, ids),
        }
    )
    partition = np.fromiter(
        (zlib.crc32(name.encode()) % count for name in image_ids),
        np.int64,
        len(image_ids),
    )
    return shuffle_files.write_partitions(path, table, partition)


def _list_partitions(
    reads: list[_Read], context: _Context
) -> Iterator[tuple[int, list[str]]]:
    reads = sorted(reads, key=lambda read: read.path)
    content = [asdict(read) for read in reads]
    path = storage.join(context.work, "reads.json")
    storage.write_text(path, json.dumps(content))
    for number in range(context.partitions):
        yield number, [r.path for r in reads if number in r.partitions]


def _count_partition(
    partition: tuple[int, list[str]], context: _Context
) -> _Counted:
    """Joins what was said of each image, and counts."""
    number, paths = partition
    rows, bits, ids = _join(number, paths)
    images = len(bits)
    order = np.argsort(rows, kind="stable")
    row_splits = np.searchsorted(rows[order], np.arange(images + 1))
    counts = count_pairs(row_splits, ids[order], len(context.wnids))
    content = io.BytesIO()
    save_npz(content, counts, compressed=False)
    path = storage.join(context.work, _COUNTED, f"{number:06d}.npz")
    with storage.open_write(path) as file:
        file.write(content.getvalue())
    return _Counted(
        path=path,
        images=images,
        with_labels=int((bits & _BY_LABELS > 0).sum()),
        with_predictions=int((bits & _BY_MODEL > 0).sum()),
    )


def _join(
    number: int, paths: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the image of each class, who speaks of each image, classes."""
    names, bits, lengths, ids = [], [], [], []
    for path in paths:
        with shuffle_files.open_partitions(path) as file:
            batch = file.read(number)
            splits, values = shuffle_files.ragged(batch.column("ids"))
            names += batch.column("image_id").to_pylist()
            bits.append(batch.column("bits").to_numpy().copy())
            lengths.append(np.diff(splits))
            ids.append(values.copy())
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    images = np.array([codes[name] for name in names], np.int64)
    bits_of = np.zeros(len(codes), np.uint8)
    if not paths:
        return images, bits_of, np.zeros(0, np.int32)
    np.bitwise_or.at(bits_of, images, np.concatenate(bits))
    rows = np.repeat(images, np.concatenate(lengths))
    return rows, bits_of, np.concatenate(ids)


def _finish(counted: list[_Counted], context: _Context) -> None:
    options = context.options
    classes = len(context.wnids)
    total = csr_array((classes, classes), dtype=np.int64)
    for part in counted:
        with storage.open_read(part.path) as file:
            total = total + load_npz(io.BytesIO(file.read()))
    pairs = find_pairs(
        total,
        context.hierarchy,
        min_co=options.min_co,
        reading=options.reading,
        min_images=options.min_images,
    )
    vocabulary, _ = _load_classes(options)
    target = storage.work_file(options.out)
    pairs.save(target, vocabulary)
    storage.publish(target, options.out)
    text = storage.read_text(storage.join(context.work, "reads.json"))
    reads = [_Read(**read) for read in json.loads(text)]
    rejected: Counter[str] = Counter()
    for read in reads:
        rejected.update(read.rejected)
    _save_rejected(options.out, [r.rejections for r in reads if r.rejections])
    summary = Summary(
        images=sum(part.images for part in counted),
        with_labels=sum(part.with_labels for part in counted),
        with_predictions=sum(part.with_predictions for part in counted),
        rows_in=sum(read.rows_in for read in reads),
        rejected=dict(sorted(rejected.items())),
        unknown_scores=sum(read.unknown_scores for read in reads),
        pairs=len(pairs),
    )
    path = storage.join(context.work, _SUMMARY)
    storage.write_text(path, json.dumps(asdict(summary)))


def _save_rejected(out: str, paths: list[str]) -> None:
    target = rejected_path(out)
    storage.remove(target)
    if paths:
        lines = [storage.read_text(path) for path in sorted(paths)]
        storage.write_text(target, "".join(lines))
