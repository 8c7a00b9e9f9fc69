"""The command `tagforest audit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.dataset import dataset_folder
from model.audit.options import AuditOptions
from model.workdir import check_trained

if TYPE_CHECKING:
    from model.audit.audit import Audit


@takes_options
def audit(
    workdir: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    dataset: Annotated[str, typer.Argument(help="Folder of the data set.")],
    options: AuditOptions,
    trained_on: Annotated[
        str | None,
        typer.Option(
            help="The data set that the run was trained on, where it lies "
            "now: its training images are left out of another data set."
        ),
    ] = None,
) -> None:
    """Rank labels that are probably wrong, and labels that are missing.

    By scores of images that no training has seen: a split that the run was
    not trained on, or, with --folds, the train split by trainings of their
    own. What is decided on the page is read by --corrections of `tagforest
    dataset` and `tagforest relabel`.
    """
    from beam_jobs.files.checks import check_output_folder

    # Before TensorFlow is imported, which takes seconds.
    check_trained(workdir, dataset)
    check_output_folder(options.out)
    split = options.split if options.folds is None else dataset_folder.TRAIN
    dataset_folder.shard_paths(dataset, split)
    from model.audit.audit import audit as run
    from model.audit.audit import check_out

    check_out(options)
    found = run(workdir, dataset, options, trained_on)
    typer.echo(describe(found))
    if found.judge and (said := found.judge.describe(workdir)):
        typer.echo(said)
    for path in found.files:
        typer.echo(f"  {path}")
    typer.echo(
        f"next: tagforest relabel {dataset} --corrections corrections.csv "
        "--out NEW, with what the page saves"
    )


def describe(found: Audit) -> str:
    """Returns a few lines on an audit, for the terminal."""
    doubtful = sum(f.kind == "doubtful" for f in found.findings)
    missing = len(found.findings) - doubtful
    lines = [
        f"{found.images:,} images looked at: {doubtful:,} doubtful labels, "
        f"{missing:,} missing ones"
    ]
    lines += [
        f"  {row.doubtful:,} doubtful of {row.labels:,} labels by {row.name}"
        for row in (*found.counts.sources, *found.counts.rules)
    ]
    return "\n".join(lines)
