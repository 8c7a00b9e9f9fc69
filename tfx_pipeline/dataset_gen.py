"""The component that runs the Beam job and yields its data set as Examples."""


# TFX's annotations and protos are no types that mypy can follow:
# mypy: disable-error-code="arg-type, attr-defined, call-overload, type-arg"

# No `from __future__ import annotations`: TFX reads the annotations below as
# types, not as text.
import json
import os
import shutil
import sys
from pathlib import Path

# Not `tfx.v1`: it loads Vertex AI's client, seconds of start-up for nothing.
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from beam_jobs.dataset import dataset_folder as layout
from beam_jobs.dataset_job.build_dataset import build_dataset
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.option_fields import from_mapping
from tfx_pipeline import names

SPLITS = (layout.TRAIN, layout.VALIDATION)


@component
def DatasetGen(  # noqa: N802 (TFX names a component like a class)
    options: Parameter[str],
    sources: Parameter[str],
    examples: OutputArtifact[Examples],
) -> None:
    """Builds the data set into `<uri>/dataset` and shows its splits to TFX.

    Args:
        options: `DatasetOptions` as JSON, without `out`.
        sources: fingerprint of the input files. Not read: changed files
            change it, and so make TFX run this component again.
        examples: gets the splits train and validation.
    """
    del sources
    dataset = dataset_folder(examples.uri)
    wanted = {**json.loads(options), "out": str(dataset)}
    build_dataset(
        from_mapping(DatasetOptions, wanted),
        show_progress=sys.stderr.isatty(),
    )
    publish_splits(dataset, examples)


def dataset_folder(uri: str | os.PathLike[str]) -> Path:
    """Returns the data set's folder within an Examples artifact."""
    return Path(uri) / names.DATASET


def publish_splits(dataset: Path, examples: Examples) -> None:
    """Shows the shards of a data set as `<uri>/Split-<name>/*`.

    The shards are hard links where the file system has them, else copies:
    the data set beside stays whole, for what TFX knows nothing of.
    """
    for split in SPLITS:
        folder = Path(examples.uri) / f"Split-{split}"
        folder.mkdir(parents=True, exist_ok=True)
        for shard in layout.shard_paths(dataset, split):
            _link_or_copy(Path(shard), folder / Path(shard).name)
    examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
    examples_utils.set_payload_format(
        examples, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
    )


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
