"""A trained detector or segmenter against a split."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model import workdir as files
from model.config_sections import DETECTION, TAGS
from model.evaluation import detection, segmentation
from model.monitoring.tensorboard import show_picture
from model.network.load_tagger import load_model
from model.scores import scoring
from model.scores.trained_on import Judge
from model.workers.team import ALONE

FOLDER = "evaluation"


@dataclass(frozen=True)
class RegionReport:
    """What was found.

    Attributes:
        task: DETECTION or SEGMENTATION.
        figures: by their names.
        files: with them, and a picture.
        judge: the data set, and what the training knows of it.
    """

    task: str
    figures: dict[str, Any]
    files: tuple[Path, ...]
    judge: Judge

    def __str__(self) -> str:
        values = self.figures
        if self.task == DETECTION:
            return (
                f"{values['images']} images, {values['objects']} objects: mAP "
                f"by VOC 2007's rule {values['voc07']:.4f}, by VOC's area "
                f"{values['voc']:.4f}; COCO's AP {values['coco']:.4f}, AP50 "
                f"{values['coco50']:.4f}, AP75 {values['coco75']:.4f}"
            )
        return (
            f"{values['images']} images at their own size: mean IoU "
            f"{values['mean_iou']:.4f}, pixels right "
            f"{values['pixel_accuracy']:.4f}"
        )


def evaluate_regions(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str = dataset_folder.VALIDATION,
    trained_on: str | None = None,
) -> RegionReport:
    """Judges a training by boxes or masks, and writes figures and a picture.

    Into the workdir, for the validation split of its own data set; else into
    a folder below `evaluation/`. Images that were trained on are left out, as
    `evaluate` does.

    Raises:
        InputError: as `evaluate`, or a tagger.
    """
    workdir, dataset = Path(workdir), os.fspath(dataset)
    dataset_folder.shard_paths(dataset, split)
    model = load_model(workdir)
    task = model.config.head.task
    if task == TAGS:
        raise InputError(f"{workdir} holds a tagger, which has no regions")
    vocabulary = scoring.common_vocabulary(workdir, dataset)
    judge, own = scoring.find_judge(workdir, dataset, split, trained_on)
    judge, places = scoring.looked_for(judge, own, workdir, dataset, ALONE)
    folder = workdir
    if judge.is_own is False or split != dataset_folder.VALIDATION:
        # Two data sets may have the same splits.
        foreign = judge.folder if judge.is_own is False else ""
        folder = workdir / FOLDER / foreign / split
        folder.mkdir(parents=True, exist_ok=True)
    judged = detection.judge if task == DETECTION else segmentation.judge
    figures, written = judged(
        model, vocabulary, dataset, split, np.asarray(places), folder
    )
    figures |= {"split": split, "dataset": judge.to_json()}
    files.write_json(written[0], figures)
    _show(workdir, folder, written)
    return RegionReport(task, figures, tuple(written), judge)


def _show(workdir: Path, folder: Path, written: Iterable[Path]) -> None:
    """Shows the pictures in the training's TensorBoard."""
    # Of a foreign data set they would hide those of the training's own.
    if folder != workdir:
        return
    result = files.read_json(workdir / files.RESULT, {})
    for path in written:
        if path.suffix == ".png":
            show_picture(
                workdir / files.LOGS, path.stem, path, result.get("steps", 0)
            )
