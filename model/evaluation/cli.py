"""The command `tagforest evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.dataset.dataset_folder import VALIDATION
from model.config import Config
from model.config_sections import TAGS
from model.network.options import BatchOptions
from model.scores.trained_on import find_trained_on
from model.workdir import CONFIG, check_trained


@takes_options
def evaluate(
    workdir: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    dataset: Annotated[str, typer.Argument(help="Folder of the data set.")],
    options: BatchOptions,
    split: Annotated[
        str, typer.Option(help="Which images to judge by.")
    ] = VALIDATION,
    trained_on: Annotated[
        str | None,
        typer.Option(
            help="The data set that the run was trained on, where it lies "
            "now: its training images are left out of another data set."
        ),
    ] = None,
) -> None:
    """Judge a trained tagger beside a baseline and the ceiling.

    Precision, recall and F1 at 5 and 10, F1 and best class among the leaves,
    and macro average precision, by the labels that the images have and
    without unknown ones; by depth, training images and origin of the labels;
    tags and probabilities, where `tagforest calibrate` has fitted them. A
    detector by mean average precision, a segmenter by mean IoU.
    """
    from beam_jobs.dataset import dataset_folder

    # Before TensorFlow is imported, which takes seconds.
    check_trained(workdir, dataset)
    dataset_folder.shard_paths(dataset, split)
    find_trained_on(workdir, trained_on)
    config = workdir / CONFIG
    if config.is_file() and _task_of(config) != TAGS:
        return _evaluate_regions(workdir, dataset, split, trained_on)
    from rich.console import Console

    from model.evaluation import evaluate as evaluate_
    from model.evaluation import report_tables
    from model.evaluation.evaluate import evaluate as run

    evaluation = run(workdir, dataset, split, options, trained_on)
    for table in report_tables.tables(evaluation):
        Console().print(table)
    folder = evaluate_.report_folder(workdir, evaluation)
    if evaluation.judge and (said := evaluation.judge.describe(workdir)):
        typer.echo(said)
    for path in evaluate_.paths_in(folder, split):
        typer.echo(f"  {path}")
    typer.echo(f"next: tagforest export {workdir} --out {workdir}/export")


def _task_of(config: Path) -> str:
    return Config.from_json(config.read_text(encoding="utf-8")).head.task


def _evaluate_regions(
    workdir: Path, dataset: str, split: str, trained_on: str | None
) -> None:
    from model.evaluation.regions import evaluate_regions

    found = evaluate_regions(workdir, dataset, split, trained_on)
    if said := found.judge.describe(workdir):
        typer.echo(said)
    typer.echo(found)
    for path in found.files:
        typer.echo(f"  {path}")
    typer.echo(f"next: tagforest export {workdir} --out {workdir}/export")
