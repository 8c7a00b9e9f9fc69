"""What the Trainer runs: `run_fn`, found by its dotted path."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

from beam_jobs.classes import load_classes
from beam_jobs.dataset.manifest import Manifest
from beam_jobs.files import storage
from model import workdir
from model.config import Config
from model.training.options import TrainOptions
from model.training.train import train
from tfx_pipeline import names, state
from tfx_pipeline.components.dataset_gen import dataset_folder, link_or_copy
from tfx_pipeline.places import local_path

# What a training leaves for those after it; not its checkpoints.
_KEPT = (
    *(workdir.CONFIG, workdir.WEIGHTS, workdir.HISTORY, workdir.RESULT),
    *(workdir.DATASET, workdir.START, workdir.COUNTS, workdir.LOG),
    *(workdir.DATASET_PATH, workdir.EXTENSIONS, workdir.DAMAGED),
    *(load_classes.VOCABULARY, load_classes.HIERARCHY),
)


def run_fn(fn_args: Any) -> None:
    """Trains on the data set of the examples; a run that was killed goes on.

    TFX gives each execution a new folder, and removes that of one that
    failed. So the training lives in `<root>/training/<key>`, and what is done
    is linked from there.

    Args:
        fn_args: TFX's `FnArgs`. `custom_config` holds the fields of a
            `model.config.Config` that weights depend on, the digest of the
            code, and the pipeline's root; `model_run_dir` gets logs and
            figures, `serving_model_dir` the weights with their classes.
    """
    given = fn_args.custom_config
    root = given[names.ROOT]
    settings = state.read_json(root, state.SETTINGS) or {}
    config = settled(given[names.CONFIG], settings.get("config"))
    # Files are given as <uri>/Split-train/*.
    shard = fn_args.train_files[0]
    dataset = dataset_folder(os.path.dirname(os.path.dirname(shard)))
    folder = training_folder(root, dataset, config, given[names.CODE])
    train(
        config,
        dataset,
        folder,
        TrainOptions(
            local_workers=settings.get("local_workers", 1),
            max_restarts=settings.get("max_restarts", 0),
        ),
    )
    run = local_path(fn_args.model_run_dir)
    link_run(folder, run)
    if (folder / workdir.LOGS).is_dir():
        shutil.copytree(
            folder / workdir.LOGS,
            run / workdir.LOGS,
            copy_function=link_or_copy,
            dirs_exist_ok=True,
        )
    # A training can start from this folder, as from any working directory.
    link_run(folder, local_path(fn_args.serving_model_dir))


def settled(result_json: str, whole_json: str | None) -> Config:
    """Returns the config: what decides the result, with the run's settings."""
    config = Config.from_json(result_json)
    if whole_json:
        whole = Config.from_json(whole_json)
        if whole.to_result_json() == config.to_result_json():
            return whole
    return config


def training_folder(
    root: str, dataset: str | os.PathLike[str], config: Config, code: str
) -> Path:
    """Returns where a training lives, by all that its weights depend on."""
    parts = [Manifest.load(dataset).fingerprint, config.to_result_json(), code]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return local_path(storage.join(root, names.TRAINING, key))


def link_run(folder: Path, target: Path) -> None:
    """Links what a finished training leaves into another folder."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _KEPT:
        if (folder / name).is_file() and not (target / name).exists():
            link_or_copy(folder / name, target / name)
