"""The Beam pipeline of bulk tagging.

    parts -> shards -> model -> outcomes -> manifest

Elements name shards of some hundred images; images, batches and
answers stay within the worker that has the shard. So memory does not grow
with the images on any runner, and Beam's own batching, which follows its
bundles, cannot change which images share a batch, and with it the last bit
of a score. It is one chain without side inputs, so it runs on any runner.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    ModelHandler,
    RunInference,
)

from beam_jobs.rejections import publish_dead_letters
from beam_jobs.runners.transforms import AllTogether, Spread, pipeline_of
from beam_jobs.sources.reader import Part
from serving.bulk import model_files
from serving.bulk.inputs import Shard, cut_part
from serving.bulk.manifest import Facts, make_manifest
from serving.bulk.tag_batch import Model
from serving.bulk.tag_shard import Job, Outcome, tag_shard


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Resource module is not available")


# Beam says so wherever PyTorch is missing, for the size of the model that it
# cannot measure then. Set on import, so that workers in other processes have
# it too.
logging.getLogger().addFilter(_is_news)


class TagHandler(ModelHandler[Shard, Outcome, Model]):
    """Runs the export over shards; loads it once in a process."""

    def __init__(self, job: Job):
        # One copy serves all processes of a machine if it is "large".
        super().__init__(
            min_batch_size=1,
            max_batch_size=1,
            large_model=job.options.share_model,
        )
        self._job = job

    def load_model(self) -> Model:
        """Returns the SavedModel."""
        return model_files.load(self._job.model)

    def run_inference(
        self,
        batch: Sequence[Shard],
        model: Model,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[Outcome]:
        """Writes the answers of shards; yields what became of each."""
        return [tag_shard(shard, model, self._job) for shard in batch]

    def get_num_bytes(self, batch: Sequence[Shard]) -> int:
        """Returns the bytes of the images, as far as they are listed."""
        return sum(ref.length for shard in batch for _, ref in shard.images)

    def get_metrics_namespace(self) -> str:
        """Returns where Beam counts calls and seconds."""
        return "BulkTagging"


def run(
    parts: Sequence[Part], job: Job, facts: Facts, beam_args: Sequence[str] = ()
) -> None:
    """Tags all parts of the sources; the manifest comes last."""
    with pipeline_of(beam_args) as pipeline:
        (
            pipeline
            | "Parts" >> beam.Create(list(enumerate(parts)))
            | "Spread parts" >> Spread(_first)
            | "Cut part" >> beam.FlatMap(_cut, job.options.images_per_file)
            | "Spread shards" >> Spread(_first)
            # A batch of Beam's is one shard; its own way to make batches
            # loses elements on Dask, which ignores what a bundle's end gives.
            | "One shard" >> beam.Map(_alone)
            | "Tag" >> RunInference(_handler(job))
            | "All shards" >> AllTogether()
            | "Finish" >> beam.Map(finish, job.options.out, facts)
        )


def finish(outcomes: list[tuple[str, Outcome]], out: str, facts: Facts) -> None:
    """Writes the dead letters, then the manifest.

    Raises:
        UnbalancedError: images in are not images out and rejected.
    """
    found = [outcome for _, outcome in outcomes]
    manifest = make_manifest(facts, found)
    letters = [o.rejections for o in found if o.rejections]
    publish_dead_letters(out, letters)
    manifest.save(out)


def _cut(
    part: tuple[int, Part], images_per_file: int
) -> Iterator[tuple[str, Shard]]:
    for shard in cut_part(*part, images_per_file):
        yield shard.name, shard


def _handler(job: Job) -> ModelHandler:
    return KeyedModelHandler(TagHandler(job)).with_no_batching()


def _alone(element: tuple[str, Shard]) -> list[tuple[str, Shard]]:
    return [element]


def _first(element: tuple[Any, Any]) -> Any:
    return element[0]
