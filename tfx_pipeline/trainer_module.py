"""What the Trainer runs: `run_fn`, found by its dotted path."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from model.config import Config
from model.training.train import train
from serving.saved_model.export import export
from tfx_pipeline import names
from tfx_pipeline.dataset_gen import dataset_folder


def run_fn(fn_args: Any) -> None:
    """Trains on the data set of the examples and exports the SavedModel.

    Args:
        fn_args: TFX's `FnArgs`. `custom_config` holds a `model.config.Config`
            as JSON; `model_run_dir` gets checkpoints and TensorBoard logs;
            `serving_model_dir` becomes the SavedModel.
    """
    config = Config.from_json(fn_args.custom_config[names.CONFIG])
    # Files are given as <uri>/Split-train/*.
    dataset = dataset_folder(Path(fn_args.train_files[0]).parent.parent)
    workdir = Path(fn_args.model_run_dir)
    train(config, dataset, workdir)
    target = Path(fn_args.serving_model_dir)
    staging = target.with_name("export")
    export(workdir, staging).rename(target)
    shutil.rmtree(staging)
