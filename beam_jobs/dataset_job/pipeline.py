"""The two Beam pipelines of the data set job.

    read:   parts of sources -> rows by image id, images by class
    write:  partitions -> checked images -> splits, shards -> records

Between the two the driver chooses the classes. Elements name parts of the work;
rows travel through files (see `shuffle_files`). Each pipeline is one chain
without side inputs and second outputs, so it runs on any runner.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import apache_beam as beam

from beam_jobs.dataset.manifest import ShardInfo
from beam_jobs.dataset_job import join_images
from beam_jobs.dataset_job.assemble_images import (
    AssembledPartition,
    KnownClasses,
    assemble_partition,
)
from beam_jobs.dataset_job.finish_dataset import (
    DatasetFacts,
    Outcome,
    finish_dataset,
)
from beam_jobs.dataset_job.options import ImageChecks, SplitOptions
from beam_jobs.dataset_job.plan_shards import Plan, ShardPlan, plan_shards
from beam_jobs.dataset_job.read_annotations import ReadPart, read_to_file
from beam_jobs.dataset_job.write_shards import write_shard
from beam_jobs.files import storage
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.rejections import count_images
from beam_jobs.runners.transforms import AllTogether, Spread, pipeline_of
from beam_jobs.sources.reader import Part

_READ_INDEX = "read.json"
_CLASS_COUNTS = "classes.json"
_PLAN = "plan.json"

# Its number, and the files with rows of it.
_Partition = tuple[int, list[str]]


@dataclass(frozen=True)
class ReadIndex:
    """What the first pipeline left.

    Attributes:
        partitions: (number, files with rows of it), ascending.
        rejected: rejected rows and files, by reason.
        rejections: files of rejections.
    """

    partitions: list[_Partition]
    rejected: dict[str, int]
    rejections: list[str]


@dataclass(frozen=True)
class WriteContext:
    """What every worker of the second pipeline needs.

    Attributes:
        dataset: folder of the data set.
        work: folder for files between stages.
        known: what class keys mean.
        label_rules: makes labels.
        classes: size of the vocabulary.
        checks: how images are read.
        splits: of the images.
        images_per_shard: at most.
    """

    dataset: str
    work: str
    known: KnownClasses
    label_rules: LabelRules
    classes: int
    checks: ImageChecks
    splits: SplitOptions
    images_per_shard: int


def read(
    parts: Sequence[Part],
    work: str,
    partitions: int,
    beam_args: Sequence[str] = (),
) -> ReadIndex:
    """Reads all parts of the sources into files, partitioned by image id."""
    with pipeline_of(beam_args) as pipeline:
        (
            pipeline
            | "Parts" >> beam.Create(list(enumerate(parts)))
            | "Spread parts" >> Spread(_first)
            | "Read part" >> beam.Map(_read, work, partitions)
            | "All parts" >> AllTogether()
            | "Index rows" >> beam.Map(_save_index, work)
        )
    content = json.loads(storage.read_text(storage.join(work, _READ_INDEX)))
    return ReadIndex(**content)


def count_classes(
    index: ReadIndex,
    work: str,
    min_confidence: float,
    beam_args: Sequence[str] = (),
) -> dict[str, dict[str, int]]:
    """Returns annotated images by kind of source and class key."""
    if not index.partitions:
        return {}
    with pipeline_of(beam_args) as pipeline:
        (
            pipeline
            | "Partitions" >> beam.Create(index.partitions)
            | "Spread partitions" >> Spread(_first)
            | "Count classes" >> beam.Map(_count_classes, min_confidence)
            | "All counts" >> AllTogether()
            | "Add counts" >> beam.Map(_save_counts, work)
        )
    return json.loads(storage.read_text(storage.join(work, _CLASS_COUNTS)))


def write(
    index: ReadIndex,
    context: WriteContext,
    facts: DatasetFacts,
    beam_args: Sequence[str] = (),
) -> None:
    """Checks, labels, splits and writes; the manifest comes last."""
    with pipeline_of(beam_args) as pipeline:
        (
            pipeline
            | "Partitions" >> beam.Create(index.partitions)
            | "Spread partitions" >> Spread(_first)
            | "Assemble images" >> beam.Map(_assemble, context)
            | "All images" >> AllTogether()
            | "Plan shards" >> beam.FlatMap(_plan, context)
            | "Spread shards" >> Spread(_shard_name)
            | "Write shard" >> beam.Map(_write, context)
            | "All shards" >> AllTogether()
            | "Finish" >> beam.Map(_finish, index, context, facts)
        )


def _first(element: tuple[int, Any]) -> int:
    return element[0]


def _shard_name(plan: ShardPlan | None) -> str:
    return f"{plan.split}-{plan.index}" if plan else ""


def _save_index(parts: list[ReadPart], work: str) -> None:
    partitions: dict[int, list[str]] = {}
    rejected: dict[str, int] = {}
    for part in sorted(parts, key=lambda part: part.path):
        for number in part.partitions:
            partitions.setdefault(number, []).append(part.path)
        for reason, count in part.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
    files = sorted(part.rejections for part in parts if part.rejections)
    index = ReadIndex(sorted(partitions.items()), rejected, files)
    _save_json(asdict(index), work, _READ_INDEX)


def _read(part: tuple[int, Part], work: str, partitions: int) -> ReadPart:
    return read_to_file(*part, work, partitions)


def _count_classes(
    partition: _Partition, min_confidence: float
) -> dict[str, dict[str, int]]:
    number, paths = partition
    rows = join_images.read_rows(paths, number)
    images, _, _ = join_images.join_rows(rows, need_files=False)
    return join_images.count_classes(images, rows.class_keys, min_confidence)


def _save_counts(parts: list[dict[str, dict[str, int]]], work: str) -> None:
    total: dict[str, dict[str, int]] = {}
    for part in parts:
        for kind, counts in part.items():
            kind_total = total.setdefault(kind, {})
            for key, count in counts.items():
                kind_total[key] = kind_total.get(key, 0) + count
    _save_json(total, work, _CLASS_COUNTS)


def _assemble(
    partition: _Partition, context: WriteContext
) -> AssembledPartition:
    return assemble_partition(
        *partition,
        context.work,
        context.known,
        context.label_rules,
        context.checks,
    )


def _plan(
    assembled: list[AssembledPartition], context: WriteContext
) -> Iterator[ShardPlan | None]:
    paths = [partition.path for partition in assembled]
    plan = plan_shards(
        paths,
        context.splits,
        context.images_per_shard,
        context.checks.labels_only,
    )
    content = {
        "plan": asdict(plan),
        "assembled": [asdict(partition) for partition in assembled],
    }
    _save_json(content, context.work, _PLAN)
    yield from plan.shards
    # Without a shard nothing would reach the last step.
    yield None


def _load_plan(work: str) -> tuple[Plan, list[AssembledPartition]]:
    content = json.loads(storage.read_text(storage.join(work, _PLAN)))
    assembled = [AssembledPartition(**part) for part in content["assembled"]]
    return Plan(**content["plan"]), assembled


def _write(plan: ShardPlan | None, context: WriteContext) -> ShardInfo | None:
    if plan is None:
        return None
    _, assembled = _load_plan(context.work)
    return write_shard(
        context.dataset,
        plan,
        [partition.path for partition in assembled],
        context.label_rules,
        context.classes,
        context.checks.labels_only,
        context.known.ids,
    )


def _finish(
    shards: list[ShardInfo | None],
    index: ReadIndex,
    context: WriteContext,
    facts: DatasetFacts,
) -> None:
    plan, assembled = _load_plan(context.work)
    finish_dataset(
        context.dataset,
        facts,
        [shard for shard in shards if shard is not None],
        Outcome(
            images_in=sum(partition.images_in for partition in assembled)
            + count_images(index.rejected),
            rejected=[index.rejected, *(part.rejected for part in assembled)],
            rejections=[
                *index.rejections,
                *(part.rejections for part in assembled if part.rejections),
            ],
            moved=plan.moved,
            kept=plan.kept,
            across=plan.across,
        ),
    )


def _save_json(content: Any, work: str, name: str) -> None:
    text = json.dumps(content, sort_keys=True)
    storage.write_text(storage.join(work, name), text)
