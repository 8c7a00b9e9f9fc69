"""Calibration and thresholds of a training, from the calibration split."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from model.inputs.input_pipeline import as_input_errors
from model.network.load_tagger import weights_fingerprint
from model.scores import (
    fit_calibration,
    fit_thresholds,
    reliability,
    scoring,
    tagging,
)
from model.scores.back_off import BackOff
from model.scores.options import CalibrateOptions
from model.scores.reliability import Reliability
from model.scores.score_histogram import ScoreHistogram
from model.scores.scoring import Scored
from model.scores.trained_on import Judge
from model.workers.share import share
from model.workers.team import ALONE, Team


@dataclass(frozen=True)
class Calibrated:
    """What a calibration found.

    Attributes:
        images: of the calibration split.
        calibration: values [classes, 2], slope and offset.
        thresholds: values [classes, 3], threshold, precision and recall.
        before, after: reliability on the calibration split itself.
        judge: what the training knows of that split; None for bare scores.
    """

    images: int
    calibration: BackOff
    thresholds: BackOff
    before: Reliability
    after: Reliability
    judge: Judge | None = None

    @property
    def unreachable(self) -> int:
        """Classes that reach the wished precision nowhere: never tags."""
        return int(np.isinf(self.thresholds.values[:, 0]).sum())


def calibrate(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    options: CalibrateOptions | None = None,
    trained_on: str | None = None,
) -> Calibrated:
    """Fits a training's probabilities and thresholds; writes them there.

    Writes `calibration.json` and `thresholds.tsv` into the working directory.
    Only the calibration split is read: figures on validation stay honest.

    Args:
        dataset: data set folder with the classes of that training.
        options: by default for the maximum F1; who shares the work changes
            no digit.
        trained_on: see `scoring.open_split`.

    Raises:
        InputError: nothing trained there, no such data set, it has no
            calibration split or other classes, a damaged shard, or too few
            labels.
        PartDoneError: this is not the chief of several workers.
    """
    workdir, dataset = Path(workdir), os.fspath(dataset)
    options = options or CalibrateOptions()
    fit_calibration.check_calibration_split(dataset)
    return share(
        _calibrate,
        (workdir, dataset, options, trained_on),
        options,
        lambda: scoring.plan(
            workdir, dataset, dataset_folder.CALIBRATION, options
        ),
    )


def _calibrate(
    team: Team,
    workdir: Path,
    dataset: str,
    options: CalibrateOptions,
    trained_on: str | None,
) -> Calibrated:
    split = scoring.open_split(
        workdir,
        dataset,
        dataset_folder.CALIBRATION,
        options,
        trained_on,
        team,
    )
    if split.tagger.one_class:
        raise InputError(
            f"{workdir} tells one class an image: scores that add up to 1 are "
            "not calibrated class by class"
        )
    with as_input_errors(dataset):
        found = calibrate_scores(split.batches, split.hierarchy, options, team)
    found = replace(found, judge=split.judge)
    summary = summarize(found, options)
    summary["data_set"] = split.judge.to_json()
    summary["vocabulary"] = split.vocabulary.fingerprint
    # So that later weights do not get these thresholds.
    summary["weights"] = weights_fingerprint(split.tagger)
    tagging.save(
        workdir,
        split.vocabulary,
        found.calibration,
        found.thresholds,
        summary,
    )
    return found


def calibrate_scores(
    batches: Iterable[Scored],
    hierarchy: Hierarchy,
    options: CalibrateOptions,
    team: Team = ALONE,
) -> Calibrated:
    """Fits probabilities and thresholds to scored batches.

    Args:
        team: of which each worker has other batches.

    Raises:
        InputError: fewer positives than one fit needs.
    """
    # Scores are read once; fits and thresholds both come from the counts.
    histogram = ScoreHistogram(len(hierarchy))
    for batch in batches:
        histogram.add(batch.labels, batch.scores)
    team.add_up(histogram)
    _check_labels(histogram, options)
    fitted = fit_calibration.fit_calibration(
        histogram,
        hierarchy,
        least=options.least_for_calibration,
        known_only=options.known_only,
    )
    chosen = fit_thresholds.fit_thresholds(
        histogram,
        hierarchy,
        fitted.values,
        precision=options.precision,
        least=options.least_for_threshold,
        known_only=options.known_only,
    )
    known = options.known_only
    return Calibrated(
        images=histogram.images,
        calibration=fitted,
        thresholds=chosen,
        before=reliability.measure(histogram, known_only=known),
        after=reliability.measure(histogram, fitted.values, known_only=known),
    )


def summarize(found: Calibrated, options: CalibrateOptions) -> dict[str, Any]:
    """Returns the content of `calibration.json`, but for what it belongs to."""
    goal = "f1" if options.precision is None else "precision"
    return {
        "split": dataset_folder.CALIBRATION,
        "images": found.images,
        "goal": goal,
        "precision": options.precision,
        "known_only": options.known_only,
        "least_positives": {
            "calibration": options.least_for_calibration,
            "thresholds": options.least_for_threshold,
        },
        "classes": {
            "calibration": found.calibration.counts(),
            "thresholds": found.thresholds.counts(),
        },
        "classes_never_tagged": found.unreachable,
        "reliability": {
            "before": found.before.to_json(),
            "after": found.after.to_json(),
        },
    }


def _check_labels(histogram: ScoreHistogram, options: CalibrateOptions) -> None:
    labels = int(histogram.positives.sum(dtype=np.int64))
    if labels < options.least_for_calibration:
        raise InputError(
            f"the calibration split has {labels} labels in all; a fit needs "
            f"{options.least_for_calibration}: give the split more images "
            "with `tagforest dataset --splits`"
        )
