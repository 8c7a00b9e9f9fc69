"""The command `tagforest calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from model.scores.calibrate import Calibrated


def register(app: typer.Typer) -> None:
    """Adds the command to an app."""
    app.command("calibrate")(calibrate)


def calibrate(
    workdir: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    dataset: Annotated[
        str, typer.Argument(help="Data set with a calibration split.")
    ],
    precision: Annotated[
        float | None,
        typer.Option(
            help="Thresholds for this precision; else for the most F1."
        ),
    ] = None,
    known_only: Annotated[
        bool,
        typer.Option(
            "--known-only",
            help="Leave unknown labels out, else they are negatives.",
        ),
    ] = False,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Images scored at once.")
    ] = 64,
    progress: Annotated[bool, typer.Option(help="Show a bar.")] = True,
) -> None:
    """Turn scores into probabilities, and fit a threshold for each class.

    Read from the calibration split alone. A class with too few labels takes
    what the smallest subtree above it with enough of them gives.
    """
    _check(workdir, dataset, precision)
    from model.scores import tagging
    from model.scores.calibrate import CalibrateOptions
    from model.scores.calibrate import calibrate as run

    found = run(
        workdir,
        dataset,
        CalibrateOptions(precision=precision, known_only=known_only),
        batch_size=batch_size,
        progress=progress,
    )
    typer.echo(describe(found))
    for name in (tagging.SUMMARY, tagging.THRESHOLDS):
        typer.echo(f"  {workdir / name}")
    typer.echo(f"next: tagforest evaluate {workdir} {dataset}")


def _check(workdir: Path, dataset: str, precision: float | None) -> None:
    """Refuses before TensorFlow is imported, which takes seconds."""
    from beam_jobs.errors import InputError

    if not workdir.is_dir():
        raise InputError(
            f"no such folder: {workdir}; `tagforest train {dataset} "
            f"--workdir {workdir}` makes one"
        )
    from model.scores.fit_calibration import check_calibration_split
    from model.scores.fit_thresholds import check_precision

    check_precision(precision)
    check_calibration_split(dataset)


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
