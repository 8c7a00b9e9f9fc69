"""Finds labels that are probably wrong or missing, by held-out scores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beam_jobs.dataset import records
from beam_jobs.dataset.dataset_folder import TRAIN, VALIDATION
from beam_jobs.errors import InputError
from beam_jobs.labels.ledger import Source
from model.audit import findings, page, tables
from model.audit.findings import DOUBTFUL, MISSING, Finding, Part
from model.audit.folds import train_folds
from model.audit.options import FINDINGS, AuditOptions
from model.audit.ranking import NoiseRanking
from model.config import Config
from model.inputs.input_pipeline import as_input_errors
from model.network.options import BatchOptions
from model.scores.scoring import Scored, open_split
from model.scores.trained_on import Judge
from model.workdir import CONFIG

FOLDS = "folds"


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        images: that were looked at.
        findings: doubtful ones, then missing ones, by rank.
        counts: labels looked at and found, by class, rule and source.
        judge: what the training knows of the images; None of folds.
        files: that were written.
    """

    images: int
    findings: list[Finding]
    counts: tables.Counts
    judge: Judge | None
    files: list[Path]


def audit(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    options: AuditOptions,
    trained_on: str | None = None,
) -> Audit:
    """Ranks the labels of images that no scoring training has seen.

    Args:
        workdir: a training; with folds its config alone counts.
        dataset: of the classes of that training.
        options: which images, and what is shown.
        trained_on: see `scoring.open_split`.

    Returns:
        The findings; their files are in `options.out`.

    Raises:
        InputError: as `scoring.open_split` and `train`; the images were
            trained on; or `options.out` holds findings.
    """
    out = Path(options.out)
    check_out(options)
    with as_input_errors(dataset):
        parts, judge = _parts(Path(workdir), dataset, options, trained_on)
        ranking = rank(parts, options.per_class)
        kinds = {
            DOUBTFUL: ranking.doubtful(options.top),
            MISSING: ranking.missing(options.top),
        }
        found, pictures = [], {}
        thresholds = ranking.thresholds()
        for part in parts:
            for finding, picture in findings.describe(part, kinds, thresholds):
                found.append(finding)
                pictures[picture.name] = picture
    found.sort(key=lambda f: (f.kind, f.rank))
    counts = tables.count(found, ranking, parts[0].split.vocabulary)
    findings.save_pictures(pictures.values(), out / tables.PICTURES)
    files = tables.save(out, found, counts, parts[0].split.vocabulary)
    vocabulary = parts[0].split.vocabulary
    pages = page.write(out, found, counts, pictures, ranking.images, vocabulary)
    return Audit(ranking.images, found, counts, judge, [pages, *files])


def check_out(options: AuditOptions) -> None:
    """Checks that no findings, and what was said of them, are lost.

    Raises:
        InputError: there are some, and `overwrite` is not given.
    """
    if (Path(options.out) / FINDINGS).exists() and not options.overwrite:
        raise InputError(
            f"{options.out} holds findings; name another folder with --out, "
            "or give --overwrite"
        )


def rank(parts: list[Part], per_class: int) -> NoiseRanking:
    """Scores all images, once, and ranks their labels."""
    ranking = NoiseRanking(parts[0].split.hierarchy, per_class)
    for part in parts:
        for batch in part.split.batches:
            ranking.add(
                *(batch.labels, batch.scores, settled(batch), batch.ledger)
            )
    return ranking


def settled(batch: Scored) -> np.ndarray | None:
    """Returns bool [images, classes]: corrections speak of the label.

    Of a corrected image all that is verified absent counts as settled. None
    where no image was corrected.
    """
    sources = batch.features[records.ANNOTATION_SOURCE]
    corrected = sources.flat_values.numpy() == Source.CORRECTIONS
    if not corrected.any():
        return None
    rows = sources.value_rowids().numpy()[corrected]
    ids = batch.features[records.ANNOTATION_ID].flat_values.numpy()
    labels = np.asarray(batch.labels)
    found = np.zeros(labels.shape, bool)
    found[rows] = labels[rows] == 0
    found[rows, ids[corrected]] = True
    return found


def _parts(
    workdir: Path,
    dataset: str | os.PathLike[str],
    options: AuditOptions,
    trained_on: str | None,
) -> tuple[list[Part], Judge | None]:
    batches = BatchOptions(options.batch_size, options.progress)
    if options.folds is None:
        split = open_split(workdir, dataset, options.split, batches, trained_on)
        if split.judge.is_own and options.split == TRAIN:
            raise InputError(
                f"{workdir} was trained on these images and remembers their "
                "labels: give --split validation, or --folds 2"
            )
        part = Part(split, os.fspath(dataset), options.split, 0)
        return [part], split.judge
    text = (workdir / CONFIG).read_text(encoding="utf-8")
    folder = Path(options.out) / FOLDS
    runs = train_folds(Config.from_json(text), dataset, folder, options.folds)
    parts, first = [], 0
    for number, (run, fold) in enumerate(runs):
        split = open_split(run, fold, VALIDATION, batches)
        parts.append(Part(split, os.fspath(fold), VALIDATION, first, number))
        first += len(split.places)
    return parts, None
