"""The relabel job: the labels of a data set made anew, images as they are.

Every record keeps its annotations, so rules and sources can be switched off
and co-occurring classes added without reading or decoding a source again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import apache_beam as beam
import numpy as np

from beam_jobs.classes import load_classes
from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import (
    dataset_folder,
    manifest,
    record_index,
    records,
)
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset.read_records import read_batches, to_numpy
from beam_jobs.dataset_job import encode_records, failures, write_shards
from beam_jobs.dataset_job.encode_regions import encode_parsed
from beam_jobs.dataset_job.finish_dataset import (
    DatasetFacts,
    Outcome,
    finish_dataset,
)
from beam_jobs.dataset_job.given_corrections import (
    Given,
    read_given,
    save_letters,
)
from beam_jobs.dataset_job.options import RelabelOptions
from beam_jobs.dataset_job.recorded_annotations import (
    annotations_of,
    with_corrections,
    without,
)
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.files.disk_errors import disk_errors
from beam_jobs.files.folder_lock import hold_output
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import Rule, Source
from beam_jobs.labels.pairs import Pairs
from beam_jobs.labels.ragged_columns import Annotations, Labels, take_rows
from beam_jobs.rejections import (
    Reason,
    Rejection,
    count_images,
    save_rejections,
)
from beam_jobs.runners import progress
from beam_jobs.runners.transforms import AllTogether, Spread, pipeline_of
from beam_jobs.statistics.counts import Statistics

# Records that are labelled at once.
_BATCH = 512


@dataclass(frozen=True)
class RelabelledShard:
    """What became of one shard; `shard` is None if no image was left.

    `corrected` are ids of its images that there are corrections of.
    """

    shard: manifest.ShardInfo | None
    rejected: dict[str, int]
    rejections: str
    corrected: tuple[str, ...] = ()


def relabel(
    options: RelabelOptions,
    beam_args: Sequence[str] = (),
    *,
    show_progress: bool = True,
) -> Manifest:
    """Writes a data set with other labels and returns its manifest.

    Raises:
        InputError: no data set, another one or job in the way, wrong pairs,
            or a shard is missing or damaged.
        JobFailedError: no image is left, or the disk is full.
    """
    source = Manifest.load(options.dataset)
    dataset_folder.check_shards(options.dataset)
    _check_out(options)
    vocabulary, hierarchy = load_classes.load_folder(options.dataset)
    label_rules = _label_rules(options, source, vocabulary, hierarchy)
    given = read_given(options, source, vocabulary)
    described = {**source.options, "relabelled": options.described()}
    asked: list[Any] = [source.fingerprint, described]
    if options.corrections:
        asked += sorted((i, *c.items()) for i, c in given.corrections.items())
    request = json.dumps(asked, sort_keys=True)
    facts = DatasetFacts(
        hashlib.sha256(request.encode()).hexdigest(),
        described,
        vocabulary,
        hierarchy,
    )
    lock = storage.join(options.out, dataset_folder.LOCK)
    with disk_errors(options.out), hold_output(lock):
        _check_out(options)
        _prepare(options)
        return _run(
            *(options, source, facts, label_rules, given),
            *(beam_args, show_progress),
        )


def _run(
    options: RelabelOptions,
    source: Manifest,
    facts: DatasetFacts,
    label_rules: LabelRules,
    given: Given,
    beam_args: Sequence[str],
    show_progress: bool,
) -> Manifest:
    tasks = [
        (split, shard["path"])
        for split, content in sorted(source.splits.items())
        for shard in content["shards"]
    ]
    with (
        progress.bar("relabel", "images", show_progress),
        pipeline_of(beam_args) as pipeline,
    ):
        (
            pipeline
            | "Shards" >> beam.Create(tasks)
            | "Spread shards" >> Spread(_path_of)
            | "Relabel shard"
            >> beam.Map(
                *(_relabel, options, label_rules, len(facts.vocabulary)),
                given.corrections,
            )
            | "All shards" >> AllTogether()
            | "Finish"
            >> beam.Map(_finish, options.out, facts, source.images, given)
        )
    storage.remove_tree(storage.join(options.out, dataset_folder.WORK))
    made = Manifest.load(options.out)
    failures.check_left(options.out, made.images["out"], made.rejected)
    return made


def relabel_shard(
    split: str,
    path: str,
    options: RelabelOptions,
    label_rules: LabelRules,
    classes: int,
    corrections: Mapping[str, Mapping[int, float]] = MappingProxyType({}),
) -> RelabelledShard:
    """Writes one shard anew, images and their order as they are.

    Args:
        corrections: confidence by class index by image id.

    Raises:
        UnclosedRecordError: a record is not closed under the hierarchy.
    """
    drops = Source.CORRECTIONS in options.without_sources
    state = _Relabelling(path, Statistics(classes), corrections, drops)
    final = storage.join(options.out, path)
    source = storage.join(options.dataset, path)
    size, digest = write_shards.write_records(
        final, state.examples(source, label_rules)
    )
    work = storage.join(options.out, dataset_folder.WORK)
    letters = storage.join(work, path + ".jsonl")
    rejected = save_rejections(letters, state.rejections)
    if not state.records:
        record_index.remove_shard(final)
    shard = manifest.ShardInfo(
        split,
        path,
        state.records,
        size,
        state.label_bytes,
        digest,
        state.statistics.to_dict(),
    )
    return RelabelledShard(
        shard if state.records else None,
        rejected,
        letters if rejected else "",
        tuple(state.corrected),
    )


@dataclass
class _Relabelling:
    """One shard on its way, and what has been counted of it."""

    path: str
    statistics: Statistics
    corrections: Mapping[str, Mapping[int, float]]
    drops_corrections: bool
    corrected: list[str] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    records: int = 0
    label_bytes: int = 0

    def examples(
        self, source: str, label_rules: LabelRules
    ) -> Iterator[write_shards.Example]:
        for part in read_batches(source, _BATCH):
            rows, ids = to_numpy(part.parsed), part.image_ids
            annotations = self._annotations(rows, ids)
            batch = label_rules.label(annotations)
            write_shards.check_closed(batch, ids, label_rules)
            kept = np.diff(batch.labels.row_splits) > 0
            self._reject(ids, kept)
            labels = encode_records.encode_labels(batch, annotations)
            self._count(batch.labels, labels.splits, kept)
            self.statistics.add_licenses(rows[records.IMAGE_LICENSE][kept])
            progress.advance(len(ids))
            yield from _examples(rows, ids, labels, kept)

    def _annotations(self, rows: dict[str, Any], ids: list[str]) -> Annotations:
        annotations = annotations_of(rows)
        if self.drops_corrections:
            annotations = without(annotations, Source.CORRECTIONS)
        self.corrected += [i for i in ids if i in self.corrections]
        return with_corrections(annotations, ids, self.corrections)

    def _reject(self, ids: list[str], kept: np.ndarray) -> None:
        reason = Reason.NO_LABEL_IN_VOCABULARY
        self.rejections += [
            Rejection(reason, i, _WITHOUT, self.path)
            for i, has_labels in zip(ids, kept, strict=True)
            if not has_labels
        ]

    def _count(
        self, labels: Labels, splits: np.ndarray, kept: np.ndarray
    ) -> None:
        self.statistics.add(_rows_of(labels, np.flatnonzero(kept)))
        lengths = np.diff(splits)[kept]
        self.records += len(lengths)
        self.label_bytes += int(lengths.sum())


_WITHOUT = "no label is left without the rules and sources switched off"


def _rows_of(labels: Labels, chosen: np.ndarray):
    splits, values = take_rows(labels.row_splits, chosen)
    return type(labels)(
        splits,
        labels.ids[values],
        labels.confidences[values],
        labels.rules[values],
        labels.parents[values],
        labels.sources[values],
    )


def _examples(
    rows: dict[str, Any], ids: list[str], labels, kept: np.ndarray
) -> Iterator[write_shards.Example]:
    origin = {name: rows[name].tolist() for name in records.ORIGIN}
    encoded_ids = write_shards.with_origin(
        encode_records.encode_ids(ids), origin
    )
    encoded_ids = encode_parsed(encoded_ids, rows)
    images = rows[records.IMAGE_ENCODED]
    if not any(images):
        found = write_shards.label_examples(encoded_ids, labels)
    else:
        sizes = encode_records.encode_sizes(
            rows[records.IMAGE_HEIGHT], rows[records.IMAGE_WIDTH]
        )
        entries = encode_records.join(encoded_ids, sizes, labels).rows()
        found = map(write_shards.image_example, images.tolist(), entries)
    for example, keep in zip(found, kept, strict=True):
        if keep:
            yield example


def _label_rules(
    options: RelabelOptions,
    source: Manifest,
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
) -> LabelRules:
    pairs = options.cooccurrence
    return LabelRules(
        hierarchy,
        Pairs.load(pairs, vocabulary) if pairs else None,
        min_confidence=source.options["labels"]["min_confidence"],
        rules=[rule for rule in Rule if rule not in options.without_rules],
        sources=[s for s in Source if s not in options.without_sources],
    )


def _check_out(options: RelabelOptions) -> None:
    if _place(options.out) == _place(options.dataset):
        raise InputError(
            f"--out must be another folder than the data set: {options.out}"
        )
    taken = storage.exists(storage.join(options.out, dataset_folder.MANIFEST))
    if taken and not options.overwrite:
        raise InputError(
            f"{options.out} holds a data set; name another folder with --out, "
            "or give --overwrite"
        )


def _place(folder: str) -> str:
    if storage.is_remote(folder):
        return folder.rstrip("/")
    return os.path.realpath(folder)


def _prepare(options: RelabelOptions) -> None:
    dataset_folder.clear(options.out)
    for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
        text = storage.read_text(storage.join(options.dataset, name))
        storage.write_text(storage.join(options.out, name), text)


def _path_of(task: tuple[str, str]) -> str:
    return task[1]


def _relabel(
    task: tuple[str, str],
    options: RelabelOptions,
    label_rules: LabelRules,
    classes: int,
    corrections: dict[str, dict[int, float]],
) -> RelabelledShard:
    return relabel_shard(*task, options, label_rules, classes, corrections)


def _finish(
    done: list[RelabelledShard],
    out: str,
    facts: DatasetFacts,
    images,
    given: Given,
) -> None:
    corrected = [i for part in done for i in part.corrected]
    rejected, letters = save_letters(corrected, out, given)
    finish_dataset(
        out,
        facts,
        [part.shard for part in done if part.shard],
        Outcome(
            images_in=images["out"] + count_images(rejected),
            rejected=[*(part.rejected for part in done), rejected],
            rejections=[
                *(part.rejections for part in done if part.rejections),
                *([letters] if rejected else []),
            ],
        ),
    )
