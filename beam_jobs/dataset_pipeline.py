"""The two Beam pipelines of the data set job.

Pure functions do the work; this file says how the elements flow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs import layout, progress, statistics
from beam_jobs.annotations import AnnotatedImage, Rejection
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.images import ImageLimits
from beam_jobs.manifest import make_manifest
from beam_jobs.shards import ShardInfo, write_shard
from beam_jobs.sources import Sources
from beam_jobs.splits import split_of, uniform
from beam_jobs.statistics import Statistics
from beam_jobs.transforms import (
    IMAGES,
    REJECTED,
    LabelImages,
    LabelledImage,
    ReadImageNet,
    ReadOpenImages,
    UniqueImages,
)
from beam_jobs.vocabulary import Vocabulary

if TYPE_CHECKING:
    from beam_jobs.build_dataset import DatasetOptions


def count_classes(
    *,
    sources: Sources,
    wnids: Mapping[str, str],
    min_confidence: float,
    counts_path: str,
    beam_args: Sequence[str] = (),
) -> dict[str, int]:
    """Counts annotated images by wnid; images themselves are not read.

    Args:
        sources: what to read.
        wnids: wnid by Open Images label name.
        min_confidence: least confidence of a positive.
        counts_path: where the workers leave the result.
        beam_args: Beam's own options.
    """

    def positives(image: AnnotatedImage):
        progress.advance(1)
        found = (a for a in image.annotations if a.wnid)
        return {a.wnid for a in found if a.confidence >= min_confidence}

    with beam.Pipeline(options=PipelineOptions(list(beam_args))) as pipeline:
        images, _ = _read(pipeline, sources, wnids)
        (
            images
            | "Positive classes" >> beam.FlatMap(positives)
            | "Count classes" >> beam.combiners.Count.PerElement()
            | "All counts" >> beam.combiners.ToDict()
            | "Save counts" >> beam.Map(_save_json, counts_path)
        )
    with open(counts_path, encoding="utf-8") as file:
        return json.load(file)


def run(
    *,
    options: DatasetOptions,
    request: str,
    sources: Sources,
    wnids: Mapping[str, str],
    vocabulary: Vocabulary,
    hierarchy: Hierarchy,
    beam_args: Sequence[str] = (),
) -> None:
    """Reads, checks, labels, splits and writes; the manifest comes last."""
    with beam.Pipeline(options=PipelineOptions(list(beam_args))) as pipeline:
        found, unread = _read(pipeline, sources, wnids)
        unique = found | "Unique ids" >> UniqueImages()
        labelled = unique[IMAGES] | "Label and check" >> beam.ParDo(
            LabelImages(
                vocabulary, hierarchy, options.min_confidence, options.limits
            )
        ).with_outputs(REJECTED, main=IMAGES)
        rejected = (
            *unread,
            unique[REJECTED],
            labelled[REJECTED],
        ) | "All rejections" >> beam.Flatten()
        split = labelled[IMAGES] | "Split" >> beam.Map(
            lambda image: (
                split_of(image.facts.sha256, options.splits, options.seed),
                image,
            )
        )
        images_in = (
            (found, *(_images_only(unread, i) for i in range(len(unread))))
            | "All inputs" >> beam.Flatten()
            | "Count inputs" >> beam.combiners.Count.Globally()
        )
        _finish(
            pipeline,
            images_in=images_in,
            shards=split
            | WriteShards(
                options.out, options.images_per_shard, hierarchy, options.limits
            ),
            split_statistics=split
            | "Statistics" >> beam.CombinePerKey(CountLabels(len(vocabulary))),
            rejected=rejected | WriteDeadLetters(options.out),
            parts=(options.out, request, options.described(), vocabulary),
            hierarchy_fingerprint=hierarchy.fingerprint,
        )


def _read(pipeline, sources: Sources, wnids: Mapping[str, str]):
    """Returns the images of all sources, and a list of rejections."""
    outputs = []
    if sources.synsets:
        outputs.append(pipeline | "ImageNet" >> ReadImageNet(sources.synsets))
    for number, files in enumerate(sources.open_images):
        label = f"Open Images {number}"
        outputs.append(pipeline | label >> ReadOpenImages(files, wnids))
    images = [o[IMAGES] for o in outputs] | "All images" >> beam.Flatten()
    return images, [o[REJECTED] for o in outputs]


def _images_only(rejections, number: int):
    return rejections[number] | f"Rejected images {number}" >> beam.Filter(
        lambda rejection: rejection.reason.value != "malformed_row"
    )


class WriteShards(beam.PTransform):
    """(split, LabelledImage) -> ShardInfo, one per shard written.

    The number of shards follows from the number of images, and an image's
    shard from its content, so that equal input gives equal files.
    """

    def __init__(
        self,
        dataset: str,
        images_per_shard: int,
        hierarchy: Hierarchy,
        limits: ImageLimits,
    ):
        super().__init__()
        self._dataset = dataset
        self._images_per_shard = images_per_shard
        self._hierarchy = hierarchy
        self._limits = limits

    def expand(self, split_images):
        counts = (
            split_images
            | "Images by split" >> beam.combiners.Count.PerKey()
            | "Shards by split"
            >> beam.MapTuple(
                lambda split, n: (split, -(-n // self._images_per_shard))
            )
        )
        return (
            split_images
            | "Key by shard"
            >> beam.Map(_with_shard, counts=beam.pvalue.AsDict(counts))
            | "Shards" >> beam.GroupByKey()
            | "Write shard" >> beam.MapTuple(self._write)
        )

    def _write(
        self, key: tuple[str, int, int], images: Iterable[LabelledImage]
    ) -> ShardInfo:
        split, index, count = key
        return write_shard(
            self._dataset,
            split,
            index,
            count,
            images,
            self._hierarchy,
            self._limits,
        )


def _with_shard(
    split_image: tuple[str, LabelledImage], counts: Mapping[str, int]
):
    split, image = split_image
    count = counts[split]
    index = int(uniform(f"shard:{image.facts.sha256}") * count)
    return (split, index, count), image


class CountLabels(beam.CombineFn):
    """LabelledImage -> Statistics."""

    def __init__(self, classes: int):
        self._classes = classes

    def create_accumulator(self) -> Statistics:
        return Statistics(self._classes)

    def add_input(self, accumulator: Statistics, image: LabelledImage):
        return accumulator.add(
            [label.index for label in image.labels],
            [int(label.rule) for label in image.labels],
            [int(label.source) for label in image.labels],
        )

    def merge_accumulators(self, accumulators):
        merged = self.create_accumulator()
        for accumulator in accumulators:
            merged.merge(accumulator)
        return merged

    def extract_output(self, accumulator: Statistics) -> Statistics:
        return accumulator


class WriteDeadLetters(beam.PTransform):
    """Rejection -> (reason, count), after writing `<reason>.jsonl`."""

    def __init__(self, dataset: str):
        super().__init__()
        self._folder = os.path.join(dataset, layout.DEAD_LETTERS)

    def expand(self, rejections):
        return (
            rejections
            | "Key by reason" >> beam.Map(lambda r: (r.reason.value, r))
            | "Same reason" >> beam.GroupByKey()
            | "Write dead letters" >> beam.MapTuple(self._write)
        )

    def _write(self, reason: str, rejections: Iterable[Rejection]):
        import tensorflow as tf

        letters = sorted(rejections)
        tf.io.gfile.makedirs(self._folder)
        path = os.path.join(self._folder, f"{reason}.jsonl")
        with tf.io.gfile.GFile(path, "w") as file:
            for letter in letters:
                fields = {
                    "reason": reason,
                    "item": letter.item,
                    "detail": letter.detail,
                    "path": letter.path,
                }
                file.write(json.dumps(fields) + "\n")
        return reason, len(letters)


def _finish(
    pipeline,
    *,
    images_in,
    shards,
    split_statistics,
    rejected,
    parts,
    hierarchy_fingerprint: str,
) -> None:
    (
        pipeline
        | "Once" >> beam.Create([None])
        | "Write manifest"
        >> beam.Map(
            _write_manifest,
            parts=parts,
            hierarchy_fingerprint=hierarchy_fingerprint,
            images_in=beam.pvalue.AsSingleton(images_in),
            shards=beam.pvalue.AsList(shards),
            split_statistics=beam.pvalue.AsDict(split_statistics),
            rejected=beam.pvalue.AsDict(rejected),
        )
    )


def _write_manifest(
    _,
    *,
    parts,
    hierarchy_fingerprint: str,
    images_in: int,
    shards: Sequence[ShardInfo],
    split_statistics: Mapping[str, Statistics],
    rejected: Mapping[str, int],
) -> None:
    out, request, described, vocabulary = parts
    statistics.write(
        split_statistics,
        os.path.join(out, layout.STATISTICS),
        vocabulary,
        rejected,
    )
    manifest = make_manifest(
        request=request,
        options=described,
        classes={
            "count": len(vocabulary),
            "vocabulary": vocabulary.fingerprint,
            "hierarchy": hierarchy_fingerprint,
        },
        images_in=images_in,
        rejected=rejected,
        shards=shards,
    )
    manifest.save(out)


def _save_json(value, path: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, sort_keys=True)
