"""What the options of a run name, found and checked before TFX is loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_jobs.classes import load_classes
from beam_jobs.dataset_job.options import DatasetOptions
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.option_fields import changed, replace_paths
from beam_jobs.sources.find_sources import SourcePaths
from tfx_pipeline import code_digest, spans, state
from tfx_pipeline.run_options import RunOptions, absolute

if TYPE_CHECKING:
    from model.config import Config


@dataclass(frozen=True)
class Inputs:
    """What the options name, found and checked.

    Attributes:
        dataset: what to build, with absolute paths, without `out`, and with
            `{SPAN}` as it was given.
        existing: a data set to take as it is, or empty.
        sources: digest of the names, sizes and times of all input files.
        config: of the training.
        key: digest of all that the result depends on.
    """

    dataset: DatasetOptions
    existing: str
    sources: str
    config: Config
    key: str


def find_inputs(options: RunOptions) -> Inputs:
    """Finds and checks what the options name.

    Raises:
        InputError: a missing or malformed source, an unknown config, a value
            out of range, or a root that is a file.
    """
    from model.config import load_config, override

    if Path(options.root).exists() and not Path(options.root).is_dir():
        raise InputError(f"{options.root} is a file; a folder is needed")
    if options.from_component and not state.last_whole_run(options.folder):
        options.refuse("from_component", "left out: no whole run has ended yet")
    config = override(load_config(options.config), options.overrides)
    for path in (options.schema, *options.tag_images):
        if path and not storage.exists(path) and not os.path.isdir(path):
            raise InputError(f"no such file or folder: {path}")
    dataset, sources = _find_data(options)
    config = _warm_started(options, config, sources)
    existing = os.path.abspath(options.existing) if options.existing else ""
    key = _key(options, sources, config)
    return Inputs(dataset, existing, sources, config, key)


def inputs_to_compile(options: RunOptions) -> Inputs:
    """Returns what a specification is made of; sources are looked for later.

    Raises:
        InputError: an unknown config, a value out of range, or no source.
    """
    from model.config import load_config, override

    config = override(load_config(options.config), options.overrides)
    if not options.existing and options.dataset.sources == SourcePaths():
        raise InputError(
            "nothing to read: name a source, as --imagenet gs://..., or "
            "--dataset"
        )
    dataset = replace_paths(options.dataset, absolute)
    existing = absolute(options.existing) if options.existing else ""
    return Inputs(dataset, existing, "", config, "")


def _default_dataset() -> DatasetOptions:
    return RunOptions().dataset


def _find_data(options: RunOptions) -> tuple[DatasetOptions, str]:
    from beam_jobs.dataset.manifest import Manifest
    from beam_jobs.dataset_job.find_inputs import find_inputs as find_sources

    if options.existing:
        if given := changed(options.dataset, _default_dataset()):
            raise InputError(
                "--dataset is a data set that there is already: give it or "
                "sources and options of one, not both; received also: "
                f"{', '.join(given)}"
            )
        return options.dataset, Manifest.load(options.existing).fingerprint
    dataset = replace_paths(options.dataset, absolute)
    vocabulary = dataset.vocabulary.base
    if vocabulary and not storage.exists(vocabulary):
        raise InputError(f"no such vocabulary: {vocabulary}")
    found, there = spans.expand(dataset.sources)
    _, request = find_sources(replace(dataset, sources=found))
    if there and not vocabulary:
        dataset = _grown(options.folder, dataset, request)
        _, request = find_sources(replace(dataset, sources=found))
    return dataset, request


def _grown(root: str, dataset: DatasetOptions, request: str) -> DatasetOptions:
    """Lets the classes of earlier spans keep their places.

    The base is chosen once for each state of the spans, so that a rerun
    builds nothing anew.
    """
    chosen = state.path_in(root, "grown", request)
    kept = storage.join(chosen, load_classes.VOCABULARY)
    if not storage.exists(chosen + ".json"):
        for name in (load_classes.VOCABULARY, load_classes.HIERARCHY):
            accepted = state.path_in(root, state.CLASSES, name)
            if storage.exists(accepted):
                text = storage.read_text(accepted)
                storage.write_text(storage.join(chosen, name), text)
        state.write_json(root, {"request": request}, "grown", f"{request}.json")
    if not storage.exists(kept):
        return dataset
    vocabulary = replace(dataset.vocabulary, base=kept, grow=True)
    return replace(dataset, vocabulary=vocabulary)


def _warm_started(options: RunOptions, config: Config, data: str) -> Config:
    if not options.warm_start:
        return config
    if config.start.source:
        raise InputError(
            "--warm-start chooses what to start from; received also "
            f"start.source={config.start.source}"
        )
    # Of other data: else each blessing would change what a rerun starts from.
    earlier = [
        b["model"]
        for b in state.read_blessings(options.folder)
        if b["data"] != data and os.path.isdir(b["model"])
    ]
    if not earlier:
        return config
    source = os.path.join(earlier[-1], "run")
    return replace(config, start=replace(config.start, source=source))


def _key(options: RunOptions, sources: str, config: Config) -> str:
    """Returns a digest of all that a run's result depends on."""
    schema = options.schema
    values: dict[str, Any] = {
        "sources": sources,
        "config": config.to_result_json(),
        "gates": [
            dataclasses.asdict(part)
            for part in (
                options.data_gate,
                options.model_gate,
                options.serve_check,
            )
        ],
        "schema": storage.sha256(schema) if schema else "",
        "model_dir": options.model_dir,
        "keep": options.keep_versions,
        "tag_images": listing_digest(options.tag_images),
        "code": code_digest.digest(code_digest.ALL),
    }
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def listing_digest(paths: Sequence[str]) -> str:
    """Returns a digest of names, sizes and times of all files below paths."""
    lines = []
    for path in paths:
        below = sorted(Path(path).rglob("*")) if os.path.isdir(path) else []
        for file in below or [Path(path)]:
            if file.is_file():
                found = file.stat()
                lines.append(f"{file}\0{found.st_size}\0{found.st_mtime_ns}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
