"""What to run the pipeline on, checked before TFX is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.option_fields import Option, Options, Without, replace_paths
from beam_jobs.sources.find_sources import SourcePaths
from serving.api import contract
from tfx_pipeline import names

if TYPE_CHECKING:
    from model.config import Config


@dataclass(frozen=True)
class RunOptions(Options):
    """What to run.

    A blessed model is pushed to `<serving_dir>/tagforest/<version>`.
    """

    root: Annotated[
        str, Option("Folder of artifacts and metadata.", path=True)
    ] = "pipeline_output"
    dataset: Annotated[DatasetOptions, Without(out="")] = DatasetOptions(
        out="", sources=SourcePaths()
    )
    config: Annotated[str, Option("Training config: a name or a file.")] = (
        "demo"
    )
    overrides: Annotated[
        Sequence[str],
        Option("FIELD=VALUE, on top of the config.", flag="--set"),
    ] = ()
    min_f1: Annotated[
        float, Option("F1@5 that a model must exceed.", min=0, max=1)
    ] = names.MIN_F1
    tolerance: Annotated[
        float,
        Option("How far below the last blessed model it may be.", min=0, max=1),
    ] = names.F1_TOLERANCE
    serving_dir: Annotated[
        str | None,
        Option("Where models are pushed. Default: ROOT/serving.", path=True),
    ] = None
    enable_cache: Annotated[
        bool,
        Option(
            "Reuse steps whose inputs are unchanged.", flag="--cache/--no-cache"
        ),
    ] = True

    @property
    def model_dir(self) -> Path:
        """The folder that the model server watches."""
        base = self.serving_dir or os.path.join(self.root, names.SERVING)
        return Path(base).absolute() / contract.MODEL_NAME


@dataclass(frozen=True)
class Inputs:
    """What the options name, found and checked.

    Attributes:
        dataset: what to build, with absolute paths and without `out`.
        sources: digest of the names, sizes and times of all input files.
        config: of the training.
    """

    dataset: DatasetOptions
    sources: str
    config: Config


def find_inputs(options: RunOptions) -> Inputs:
    """Finds and checks what the options name.

    Raises:
        InputError: a missing or malformed source, an unknown config, a value
            out of range, or a root that is a file.
    """
    from beam_jobs.dataset_job.find_inputs import find_inputs as find_sources
    from model.config import load_config, override

    if Path(options.root).exists() and not Path(options.root).is_dir():
        raise InputError(f"{options.root} is a file; a folder is needed")
    dataset = replace_paths(options.dataset, _absolute)
    config = override(load_config(options.config), options.overrides)
    vocabulary = dataset.vocabulary.base
    if vocabulary and not storage.exists(vocabulary):
        raise InputError(f"no such vocabulary: {vocabulary}")
    _, request = find_sources(dataset)
    return Inputs(dataset, request, config)


def _absolute(path: str) -> str:
    """Makes a path independent of the working folder."""
    return path if "://" in path else os.path.abspath(path)
