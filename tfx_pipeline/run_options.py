"""What to run the pipeline on, checked before TFX is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beam_jobs.cli_options import dataset_options, path_options
from beam_jobs.dataset_job.build_dataset import (
    find_inputs as find_dataset_inputs,
)
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model.config import Config, load_config, override
from serving.api import contract
from tfx_pipeline import names


@dataclass(frozen=True)
class RunOptions:
    """What to run.

    Attributes:
        root: folder of artifacts and metadata.
        dataset: options of `tagforest dataset`, without `out`.
        config: name or file of the training config.
        overrides: `FIELD=VALUE` items on top of it.
        min_f1: F1@5 that a model must exceed to be blessed, from 0 to 1.
        tolerance: how far below the last blessed model it may score, from 0
            to 1.
        serving_dir: a blessed model is pushed to
            `<serving_dir>/tagforest/<version>`; None for `<root>/serving`.
        enable_cache: reuse the results of steps with unchanged inputs.
    """

    root: str
    dataset: Mapping[str, Any] = field(default_factory=dict)
    config: str = "demo"
    overrides: Sequence[str] = ()
    min_f1: float = names.MIN_F1
    tolerance: float = names.F1_TOLERANCE
    serving_dir: str | None = None
    enable_cache: bool = True

    def __post_init__(self):
        for name in ("min_f1", "tolerance"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(
                    f"{name} must be from 0 to 1; received: {value}"
                )

    @property
    def model_dir(self) -> Path:
        """The folder that the model server watches."""
        base = self.serving_dir or os.path.join(self.root, names.SERVING)
        return Path(base).absolute() / contract.MODEL_NAME


@dataclass(frozen=True)
class Inputs:
    """What the options name, found and checked.

    Attributes:
        dataset: options of `tagforest dataset` with absolute paths.
        sources: digest of the names, sizes and times of all input files.
        config: of the training.
    """

    dataset: Mapping[str, Any]
    sources: str
    config: Config


def find_inputs(options: RunOptions) -> Inputs:
    """Finds and checks what the options name.

    Raises:
        InputError: a missing or malformed source, an unknown config, a value
            out of range, or a root that is a file.
    """
    if Path(options.root).exists() and not Path(options.root).is_dir():
        raise InputError(f"{options.root} is a file; a folder is needed")
    dataset = {
        name: _absolute(value) if name in path_options() else value
        for name, value in options.dataset.items()
    }
    config = override(load_config(options.config), options.overrides)
    vocabulary = dataset.get("vocabulary")
    if vocabulary and not storage.exists(vocabulary):
        raise InputError(f"no such vocabulary: {vocabulary}")
    _, request = find_dataset_inputs(dataset_options(dataset, out=""))
    return Inputs(dataset, request, config)


def _absolute(paths: Any) -> Any:
    """Makes a path, or each of several, independent of the working folder."""
    if paths is None:
        return None
    if isinstance(paths, str):
        return paths if "://" in paths else os.path.abspath(paths)
    return [_absolute(path) for path in paths]
