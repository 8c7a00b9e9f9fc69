"""The component that runs the Beam job and yields its data set as Examples."""


# TFX's annotations and protos are no types that mypy can follow:
# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"

# No `from __future__ import annotations`: TFX reads the annotations below as
# types, not as text.
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

# Not `tfx.v1`: it loads Vertex AI's client, seconds of start-up for nothing.
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from beam_jobs.dataset import dataset_folder as layout
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.option_fields import from_mapping
from tfx_pipeline import names, state
from tfx_pipeline.places import local_path
from tfx_pipeline.spans import expand


@component
def DatasetGen(  # noqa: N802 (TFX names a component like a class)
    options: Parameter[str],
    existing: Parameter[str],
    sources: Parameter[str],
    beam_args: Parameter[str],
    code: Parameter[str],
    root: Parameter[str],
    examples: OutputArtifact[Examples],
) -> None:
    """Builds the data set into `<uri>/dataset` and shows its splits to TFX.

    Args:
        options: `DatasetOptions` as JSON, without `out`.
        existing: a data set to take as it is; empty to build one.
        sources: fingerprint of the input files. Not read: changed files
            change it, and so make TFX run this component again.
        beam_args: of the job, as a JSON list; none for what the run's
            settings say, which no record depends on.
        code: digest of what builds it, likewise not read.
        root: of the pipeline, for what no record depends on.
        examples: gets the splits, and as properties fingerprint and counts.
    """
    dataset = dataset_folder(examples.uri)
    spans: tuple[int, ...] = ()
    if existing:
        _link_tree(Path(existing), dataset)
    else:
        wanted = {**json.loads(options), "out": str(dataset)}
        given = from_mapping(DatasetOptions, wanted)
        # Looked for now: a schedule compiles once and runs every night.
        found, spans = expand(given.sources)
        settings = state.read_json(root, state.SETTINGS) or {}
        build_dataset(
            replace(given, sources=found),
            json.loads(beam_args) or settings.get("beam_args", ()),
            show_progress=sys.stderr.isatty(),
            on_note=lambda note: print(note, flush=True),
        )
    publish_splits(dataset, examples)
    facts = {
        "request": sources,
        "code": code,
        "sources": existing or options,
    }
    _describe(examples, Manifest.load(dataset), spans, facts)


def _describe(
    examples: Examples,
    manifest: Manifest,
    spans: tuple[int, ...],
    facts: dict[str, str],
) -> None:
    """Writes down what the data is, for the lineage of its models."""
    facts |= {
        "fingerprint": manifest.fingerprint,
        "images": str(manifest.images["out"]),
        "vocabulary": manifest.classes["vocabulary"],
        "spans": ",".join(map(str, spans)),
    }
    for name, value in facts.items():
        examples.set_string_custom_property(name, value)
    if spans:
        examples.set_int_custom_property("span", spans[-1])


def dataset_folder(uri: str | os.PathLike[str]) -> Path:
    """Returns the data set's folder within an Examples artifact."""
    return local_path(os.fspath(uri)) / names.DATASET


def publish_splits(dataset: Path, examples: Examples) -> None:
    """Shows the shards of a data set as `<uri>/Split-<name>/*`.

    The shards are hard links where the file system has them, else copies:
    the data set beside stays whole, for what TFX knows nothing of.

    Raises:
        InputError: no image for training, or none to judge by.
    """
    there = [s for s in layout.SPLITS if s in Manifest.load(dataset).splits]
    for split in (layout.TRAIN, layout.VALIDATION):
        if split not in there:
            raise InputError(f"the data set has no images in split {split!r}")
    for split in there:
        folder = local_path(examples.uri) / f"Split-{split}"
        folder.mkdir(parents=True, exist_ok=True)
        for shard in layout.shard_paths(dataset, split):
            link_or_copy(Path(shard), folder / Path(shard).name)
    examples.split_names = artifact_utils.encode_split_names(there)
    examples_utils.set_payload_format(
        examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
    )


def _link_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=link_or_copy)


def link_or_copy(
    source: str | os.PathLike[str], target: str | os.PathLike[str]
) -> None:
    """Makes a hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
