"""Runs the pipeline in this process: paths, checks and LocalDagRunner."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline

from beam_jobs.build_dataset import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.sources import find_sources, request_digest
from model.config import load_config, override
from serving import contract
from tfx_pipeline import configs, report
from tfx_pipeline.pipeline import create_pipeline
from tfx_pipeline.progress import told


@dataclass(frozen=True)
class RunOptions:
    """What to run.

    Attributes:
        root: folder of artifacts and metadata.
        dataset: fields of `DatasetOptions`, without `out`.
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
    min_f1: float = configs.MIN_F1
    tolerance: float = configs.F1_TOLERANCE
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
        base = self.serving_dir or os.path.join(self.root, configs.SERVING)
        return Path(base).absolute() / contract.MODEL_NAME


def run(
    options: RunOptions, tell: Callable[[str], None] = print
) -> report.Result:
    """Runs the pipeline once.

    Args:
        options: what to run.
        tell: gets one line for each component, as it finishes.

    Returns:
        What was measured, blessed and pushed.

    Raises:
        InputError: wrong options or sources, before any component runs; or
            sources that leave a split without records.
    """
    pipeline = local_pipeline(options)
    root = Path(options.root).absolute()
    root.mkdir(parents=True, exist_ok=True)
    with told(root, tell):
        LocalDagRunner().run(pipeline)
    return report.read_result(root)


def local_pipeline(options: RunOptions) -> Pipeline:
    """Returns the pipeline of the options, all of them checked.

    Raises:
        InputError: wrong options or sources.
    """
    dataset = {
        name: _absolute(value) if name in _PATHS else value
        for name, value in options.dataset.items()
    }
    config = override(load_config(options.config), options.overrides)
    return create_pipeline(
        root=Path(options.root).absolute(),
        serving_dir=options.model_dir,
        dataset=dataset,
        sources=_fingerprint(dataset),
        config=config,
        min_f1=options.min_f1,
        tolerance=options.tolerance,
        enable_cache=options.enable_cache,
    )


_PATHS = ("imagenet", "open_images", "vocabulary")


def _absolute(paths: Any) -> Any:
    """Makes a path, or each of several, independent of the working folder."""
    if paths is None or "://" in paths:
        return paths
    if isinstance(paths, str):
        return os.path.abspath(paths)
    return [_absolute(path) for path in paths]


def _fingerprint(dataset: Mapping[str, Any]) -> str:
    """Returns a digest of the names, sizes and times of all input files."""
    options = DatasetOptions(out="", **dataset)
    sources = find_sources(options.imagenet, options.open_images)
    listing = sources.listing() + sources.pictures()
    if options.vocabulary and "://" not in options.vocabulary:
        if not os.path.isfile(options.vocabulary):
            raise InputError(f"no such vocabulary file: {options.vocabulary}")
        size = os.path.getsize(options.vocabulary)
        listing.append((options.vocabulary, size))
    return request_digest(listing, options.described())
