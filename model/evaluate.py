"""A trained tagger against a split, the baseline and the ceiling."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from beam_jobs import layout
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.statistics import load_images_per_class
from beam_jobs.vocabulary import Vocabulary
from model import tagging
from model.calibrate import weights_fingerprint
from model.evaluation import report
from model.evaluation.evaluator import Evaluator
from model.evaluation.report import Evaluation
from model.evaluation.scoring import Scored, open_split
from model.inputs import input_pipeline
from model.tagger import Tagger


def evaluate(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str = layout.VALIDATION,
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> Evaluation:
    """Evaluates a training run and writes `<workdir>/evaluation/<split>*`.

    Every class that is not among an image's labels counts as wrong, unknown
    ones too: the figures are those of observed labels, as the paper's. A
    second set leaves unknown labels out, where the data set knows what is
    absent. Thresholds count where `calibrate` has fitted them.

    Args:
        workdir: of a training.
        dataset: data set folder with the classes of that training.
        split: which images.
        batch_size: images scored at once.
        progress: shows a bar.

    Raises:
        InputError: nothing trained there, no such data set or split, the
            data set has other classes, or a calibration of other weights.
    """
    workdir, dataset = Path(workdir), os.fspath(dataset)
    given = open_split(
        workdir, dataset, split, batch_size=batch_size, progress=progress
    )
    fitted = tagging.load(
        workdir, given.vocabulary, weights_fingerprint(given.tagger)
    )
    evaluation = evaluate_scores(
        given.batches,
        given.hierarchy,
        _train_counts(given.tagger, dataset, given.vocabulary),
        split,
        fitted,
    )
    report.write(evaluation, workdir / report.FOLDER, given.vocabulary)
    return evaluation


def evaluate_scores(
    batches: Iterable[Scored],
    hierarchy: Hierarchy,
    train_counts: np.ndarray,
    split: str = layout.VALIDATION,
    calibration: tagging.Tagging | None = None,
) -> Evaluation:
    """Compares scores with labels, batch by batch.

    Memory does not grow with the number of images: average precision comes
    from 2,048 bins of the logit a class, 0.28 GB for 11,166 classes.

    Args:
        batches: labels, scores and, if known, the labels' ledger.
        hierarchy: says which classes are leaves, and how deep all are.
        train_counts: training images of every class [classes], the
            baseline's whole knowledge.
        split: the name to report.
        calibration: probabilities and thresholds to judge as well.

    Raises:
        InputError: no batches, or not of this number of classes.
    """
    evaluator = Evaluator(hierarchy, train_counts, calibration)
    for batch in batches:
        evaluator.update(batch)
    return evaluator.result(split)


def _train_counts(
    tagger: Tagger, dataset: str, vocabulary: Vocabulary
) -> np.ndarray:
    least = tagger.config.data.min_confidence
    if least > 0:
        # The statistics count all labels, these are some of them.
        shards = layout.shard_paths(dataset, layout.TRAIN)
        return input_pipeline.label_counts(shards, len(vocabulary), least)
    return load_images_per_class(dataset, layout.TRAIN, vocabulary)
