"""What is refused before TensorFlow is loaded."""

from __future__ import annotations

import os
from pathlib import Path

from beam_jobs.classes.load_classes import VOCABULARY, load_vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from model.config import Config
from model.config_sections import TAGS
from model.workdir import CONFIG
from serving.formats.kinds import INT8, check_packages
from serving.formats.options import FormatOptions


def check(workdir: Path, out: Path, options: FormatOptions) -> None:
    """Checks a run, where it is to be written, and with what.

    Raises:
        InputError: a package is missing, no tagger of float32 there, `out`
            is in use, or images that do not suit.
    """
    check_packages(options.format)
    _check_run(workdir)
    if out.exists() and not (out.is_dir() and not os.listdir(out)):
        raise InputError(f"{out} exists; --out names a folder to be made")
    if options.dataset is not None:
        _check_dataset(workdir, options.dataset, options)


def _check_run(workdir: Path) -> None:
    path = workdir / CONFIG
    if not path.is_file():
        raise InputError(
            f"{workdir} holds no training (no {CONFIG}); --format takes what "
            "`tagforest train` wrote, no SavedModel"
        )
    config = Config.from_json(path.read_text(encoding="utf-8"))
    if config.head.task != TAGS:
        raise InputError(
            f"--format takes taggers and classifiers; {workdir} holds a "
            f"model of the task {config.head.task}, for SavedModels alone"
        )
    if config.network.precision != "float32":
        raise InputError(
            "--format takes networks that compute in float32; that of "
            f"{workdir} computes in {config.network.precision}"
        )


def _check_dataset(workdir: Path, dataset: str, options: FormatOptions) -> None:
    storage.check(dataset)
    splits = [options.split]
    if options.precision == INT8:
        splits.append(dataset_folder.TRAIN)
    for split in splits:
        if not dataset_folder.shard_paths(dataset, split):
            raise InputError(f"{dataset} has no {split} images")
    known, given = load_vocabulary(workdir), load_vocabulary(dataset)
    if known.fingerprint != given.fingerprint:
        raise InputError(
            f"{dataset} has other classes ({len(given)}) than {workdir} was "
            f"trained on ({len(known)}); build it with `tagforest dataset "
            f"--vocabulary {workdir / VOCABULARY}`"
        )
