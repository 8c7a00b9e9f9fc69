"""A trained tagger against a split, the baseline and the ceiling."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.statistics.counts import load_images_per_class
from model.evaluation import report_plots
from model.evaluation.evaluator import Evaluator
from model.evaluation.result import Evaluation
from model.inputs import input_pipeline, record_counts
from model.network.load_tagger import weights_fingerprint
from model.network.options import BatchOptions
from model.network.tagger import Tagger
from model.scores import scoring, tagging
from model.scores.scoring import Scored
from model.workers.share import share
from model.workers.team import ALONE, Team

# Of a training's working directory.
FOLDER = "evaluation"


def evaluate(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str = dataset_folder.VALIDATION,
    options: BatchOptions | None = None,
    trained_on: str | None = None,
) -> Evaluation:
    """Evaluates a training run and writes `<workdir>/evaluation/<split>*`.

    The report on another data set than the training's lies in a folder of its
    name; images that were trained on are left out of it, where the training's
    own data set is to be found.

    Every class that is not among an image's labels counts as wrong, unknown
    ones too: the figures are those of observed labels, as the paper's. A
    second set leaves unknown labels out, where the data set knows what is
    absent. Thresholds count where `calibrate` has fitted them.

    Args:
        dataset: data set folder with the classes of that training.
        options: how many at once, whether a bar is shown, and who shares the
            work: the figures are those of one worker, digit for digit.
        trained_on: see `scoring.open_split`.

    Raises:
        InputError: nothing trained there, no such data set or split, the
            data set has other classes or a damaged shard, or a calibration
            of other weights.
        PartDoneError: this is not the chief of several workers.
    """
    workdir, dataset = Path(workdir), os.fspath(dataset)
    options = options or BatchOptions()
    return share(
        _evaluate,
        (workdir, dataset, split, options, trained_on),
        options,
        lambda: scoring.plan(workdir, dataset, split, options),
    )


def _evaluate(
    team: Team,
    workdir: Path,
    dataset: str,
    split: str,
    options: BatchOptions,
    trained_on: str | None,
) -> Evaluation:
    given = scoring.open_split(
        workdir, dataset, split, options, trained_on, team
    )
    fitted = tagging.load(
        workdir, given.vocabulary, weights_fingerprint(given.tagger)
    )
    with input_pipeline.as_input_errors(dataset):
        # What the training has seen, where that is to be found.
        of_training = given.trained_on or dataset
        train_counts = team.from_chief(
            lambda: {
                "counts": _train_counts(
                    given.tagger, of_training, given.vocabulary
                )
            }
        )
        evaluation = evaluate_scores(
            given.batches,
            given.hierarchy,
            train_counts["counts"],
            split,
            fitted,
            team,
        )
    evaluation = replace(evaluation, judge=given.judge)
    write(evaluation, report_folder(workdir, evaluation), given.vocabulary)
    return evaluation


def report_folder(workdir: Path, evaluation: Evaluation) -> Path:
    """Returns where the report lies; of another data set in its own folder."""
    judge, folder = evaluation.judge, workdir / FOLDER
    foreign = judge is not None and judge.is_own is False
    return folder / judge.folder if judge and foreign else folder


def evaluate_scores(
    batches: Iterable[Scored],
    hierarchy: Hierarchy,
    train_counts: np.ndarray,
    split: str = dataset_folder.VALIDATION,
    calibration: tagging.Tagging | None = None,
    team: Team = ALONE,
) -> Evaluation:
    """Compares scores with labels, batch by batch.

    Memory does not grow with the number of images: average precision comes
    from 2,048 bins of the logit a class, 0.28 GB for 11,166 classes.

    Args:
        batches: labels, scores and, if known, the labels' ledger.
        hierarchy: says which classes are leaves, and how deep all are.
        train_counts: training images of every class [classes], the
            baseline's whole knowledge.
        calibration: probabilities and thresholds to judge as well.
        team: of which each worker has other batches.

    Raises:
        InputError: no batches, or not of this number of classes.
    """
    evaluator = Evaluator(hierarchy, train_counts, calibration)
    for batch in batches:
        evaluator.update(batch)
    team.add_up(evaluator)
    return evaluator.result(split)


def _train_counts(
    tagger: Tagger, dataset: str, vocabulary: Vocabulary
) -> np.ndarray:
    least = tagger.config.data.min_confidence
    if least > 0:
        # The statistics count all labels, these are some of them.
        return record_counts.label_counts(
            record_counts.open_index(dataset),
            len(vocabulary),
            least,
            tagger.config.data.skip_damaged,
        )
    return load_images_per_class(dataset, dataset_folder.TRAIN, vocabulary)


def write(
    evaluation: Evaluation,
    folder: str | os.PathLike[str],
    vocabulary: Vocabulary,
) -> list[Path]:
    """Writes `<split>.json`, `<split>_classes.tsv` and the plots.

    Returns:
        The paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = paths_in(folder, evaluation.split)
    text = json.dumps(evaluation.to_json(), indent=2, sort_keys=True)
    paths[0].write_text(text + "\n", encoding="utf-8")
    rows = "\n".join(_class_rows(evaluation, vocabulary))
    paths[1].write_text(rows + "\n", encoding="utf-8")
    for path, draw in zip(paths[2:], report_plots.PLOTS.values(), strict=True):
        draw(evaluation, path)
    return paths


def paths_in(folder: str | os.PathLike[str], split: str) -> list[Path]:
    """Returns where `write` puts the JSON, the table of classes, the plots."""
    names = [f"{split}.json", f"{split}_classes.tsv"]
    names += [f"{split}{ending}.png" for ending in report_plots.PLOTS]
    return [Path(folder) / name for name in names]


def _class_rows(evaluation: Evaluation, vocabulary: Vocabulary) -> list[str]:
    columns = ["depth", "train_images", "images", "average_precision"]
    tags = evaluation.tags_of_classes
    if tags is not None:
        columns += ["precision", "recall", "f1"]
    rows = ["\t".join(["wnid", "name", *columns])]
    have = [c for c in vocabulary if evaluation.positives[c.index] > 0]
    # Best first; a class's index breaks ties.
    have.sort(key=lambda c: (-evaluation.average_precision[c.index], c.index))
    for c in have:
        values = [
            c.wnid,
            c.display_name,
            str(evaluation.depth[c.index]),
            str(evaluation.train_images[c.index]),
            str(evaluation.positives[c.index]),
            f"{evaluation.average_precision[c.index]:.4f}",
        ]
        if tags is not None:
            values += [f"{value:.4f}" for value in tags[:, c.index]]
        rows.append("\t".join(values))
    return rows
