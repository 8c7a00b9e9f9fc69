"""Goes on from a tagger to boxes or masks (paper, section 4.2 and 4.3)."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.manifest import describe
from beam_jobs.dataset_job.options import KEEP_SPLITS, parse_fractions
from beam_jobs.errors import InputError
from model.config import (
    Config,
    HeadConfig,
    LossConfig,
    ScheduleConfig,
    StartConfig,
    override,
)
from model.config_sections import DETECTION
from model.start import sources
from model.training import train as train_
from model.training.options import TrainOptions
from model.transfer import flat_classes
from model.transfer.region_options import RegionOptions

if TYPE_CHECKING:
    from model.evaluation.regions import RegionReport

DATASET, RUN = "dataset", "run"
_BATCH, _STEPS = 8, 1200
_HELD_OUT = dataset_folder.VALIDATION


@dataclass(frozen=True)
class Learned:
    """What came of it.

    Attributes:
        run: workdir of the training.
        dataset: folder of the data set.
        report: figures and pictures.
    """

    run: Path
    dataset: Path
    report: RegionReport


def learn(
    task: str,
    options: RegionOptions,
    workdir: str | os.PathLike[str],
    source: str | None,
    config: Config | None = None,
    changes: Sequence[str] = (),
    train_options: TrainOptions | None = None,
) -> Learned:
    """Builds a data set, trains on it and judges what was learned.

    Each part is there already where an earlier call has finished it.

    Args:
        task: DETECTION or SEGMENTATION.
        workdir: for the data set and the run.
        source: what to start from, see `model.start.sources`; None: random
            weights.
        config: network and data; by default those of the source.
        changes: of fields, as `override` takes them.
        train_options: processes, restarts.

    Raises:
        InputError: no such source, no boxes or masks; see `train`.
        JobFailedError: no image can be read.
    """
    workdir = Path(workdir)
    _check_sources(task, options)
    config = sources.config_of(source, config)
    # What is wrong with a change is said before the data set is built.
    override(_config(task, config, options, source, _BATCH), changes)
    dataset = workdir / DATASET
    manifest = flat_classes.build(
        options.sources,
        dataset,
        splits=options.splits,
        seed=options.seed,
        boxes=task == DETECTION,
        say=print,
    )
    print(describe(manifest, str(dataset)))
    _check_learned(dataset, manifest.splits)
    images = manifest.splits[dataset_folder.TRAIN]["images"]
    made = _config(task, config, options, source, images)
    run = workdir / RUN
    train_.train(override(made, changes), dataset, run, train_options)
    from model.evaluation.regions import evaluate_regions

    return Learned(run, dataset, evaluate_regions(run, dataset))


def _check_sources(task: str, options: RegionOptions) -> None:
    given = options.sources
    splits = parse_fractions(options.splits or KEEP_SPLITS)
    if dataset_folder.TRAIN in splits and not splits.get(_HELD_OUT):
        raise InputError(
            f"--splits {options.splits} leaves no images to judge by"
        )
    if task != DETECTION and not given.masks:
        raise InputError(
            "segmentation learns of masks: name their folder with --masks"
        )
    if task == DETECTION and given.masks:
        raise InputError(
            "detection learns of boxes: masks are for `transfer segment`"
        )


def _check_learned(dataset: Path, splits: Any) -> None:
    if _HELD_OUT not in splits:
        raise InputError(
            f"{dataset} has no images to judge by: --splits train=0.8,"
            "validation=0.2 draws some"
        )
    if names := flat_classes.not_to_learn(dataset):
        print(
            f"nothing to learn of in {len(names)} classes, which only other "
            f"splits have: {', '.join(names[:5])}"
        )


def _config(
    task: str,
    config: Config,
    options: RegionOptions,
    source: str | None,
    images: int,
) -> Config:
    batch = min(_BATCH, images)
    epochs = options.epochs or math.ceil(_STEPS * batch / images)
    start = StartConfig()
    if source is not None:
        # Batches of 8 say little of a channel's mean (transfer to other
        # tasks is usually trained so: arXiv 1708.02002, section 4.1).
        start = StartConfig(
            source=source, take="backbone", freeze=("statistics",)
        )
    data = replace(
        config.data,
        image_size=options.image_size or config.data.image_size,
        framing="whole",
        crop_area=(0.3, 1.0),
        crop_aspect=(0.75, 4 / 3),
        rotation_probability=0.0,
        mixup_alpha=0.0,
        cutmix_alpha=0.0,
    )
    schedule = ScheduleConfig(
        batch_size=batch,
        epochs=epochs,
        optimizer="adamw",
        learning_rate=1e-3,
        warmup_learning_rate=1e-5,
        warmup=min(epochs / 20, 1.0),
        warmup_stairs=0,
        decay="cosine",
        weight_decay=0.05,
        clip_norm=10.0,
    )
    return replace(
        config,
        name=task,
        seed=options.seed,
        data=data,
        # The source's answers may be; boxes and masks are of one image.
        network=replace(config.network, mirrored=False),
        head=HeadConfig(task=task),
        loss=LossConfig(),
        schedule=schedule,
        start=start,
    )
