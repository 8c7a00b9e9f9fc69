"""The command `tagforest calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from beam_jobs.cli_options import takes_options
from model.scores.options import CalibrateOptions
from model.workdir import check_trained

if TYPE_CHECKING:
    from model.scores.calibrate import Calibrated


@takes_options
def calibrate(
    workdir: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    dataset: Annotated[
        str, typer.Argument(help="Data set with a calibration split.")
    ],
    options: CalibrateOptions,
    trained_on: Annotated[
        str | None,
        typer.Option(
            help="The data set that the run was trained on, where it lies "
            "now: its training images are left out of another data set."
        ),
    ] = None,
) -> None:
    """Turn scores into probabilities, and fit a threshold for each class.

    Read from the calibration split alone. A class with too few labels takes
    what the smallest subtree above it with enough of them gives.
    """
    # Before TensorFlow is imported, which takes seconds.
    check_trained(workdir, dataset)
    from model.scores.fit_calibration import check_calibration_split

    check_calibration_split(dataset)
    from model.scores.trained_on import find_trained_on

    find_trained_on(workdir, trained_on)
    from model.scores import tagging
    from model.scores.calibrate import calibrate as run

    found = run(workdir, dataset, options, trained_on)
    typer.echo(describe(found))
    if found.judge and (said := found.judge.describe(workdir)):
        typer.echo(said)
    for name in (tagging.SUMMARY, tagging.THRESHOLDS):
        typer.echo(f"  {workdir / name}")
    typer.echo(f"next: tagforest evaluate {workdir} {dataset}")


def describe(found: Calibrated) -> str:
    """Returns a few lines on a calibration, for the terminal."""
    before, after = found.before, found.after
    lines = [
        f"{found.images:,} calibration images",
        _levels("calibration", found.calibration.counts()),
        _levels("thresholds", found.thresholds.counts()),
        "labels an image, expected by the probabilities: "
        f"{before.labels_expected:.2f} before, {after.labels_expected:.2f} "
        f"after; observed {after.labels_observed:.2f}",
    ]
    if kept := found.calibration.counts()["none"]:
        lines.append(f"{kept} classes keep their scores: no fit is better")
    if found.unreachable:
        lines.append(
            f"{found.unreachable} classes reach the precision nowhere and are "
            "never tags"
        )
    return "\n".join(lines)


def _levels(what: str, counts: dict[str, int]) -> str:
    return (
        f"{what}: {counts['class']} classes by themselves, "
        f"{counts['subtree']} by a subtree, {counts['global']} by all"
    )
