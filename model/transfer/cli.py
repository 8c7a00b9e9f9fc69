"""The commands `tagforest transfer`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beam_jobs.cli_options import takes_options
from model.training.options import TrainOptions
from model.transfer.options import ClassifyOptions

transfer = typer.Typer(
    name="transfer",
    help="Go on from a tagger to another task.",
    no_args_is_help=True,
)


@takes_options
def classify(
    options: ClassifyOptions,
    workdir: Annotated[
        Path, typer.Option(help="For the data set, the runs and the figures.")
    ],
    from_: Annotated[
        str | None,
        typer.Option("--from", help="A training, an export, a TF1 checkpoint."),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="Network and images; a shipped config, or a .py or .json "
            "file. Default: the source's."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Changes a field: schedule.epochs=3."),
    ] = None,
    local_workers: Annotated[
        int, typer.Option(min=1, help="Processes on this machine.")
    ] = 1,
) -> None:
    """Learn folders of images, one class each, and judge it.

    `tagforest export` and `serve` take the run like any other.
    """
    from model.config import load_config
    from model.transfer.classify import classify as run

    found = run(
        options,
        workdir,
        from_,
        None if config is None else load_config(config),
        set_ or (),
        TrainOptions(local_workers=local_workers),
    )
    typer.echo(
        f"{found.images} images: top-1 {found.top_1:.4f}, top-5 "
        f"{found.top_5:.4f}, mean per class {found.mean_per_class:.4f}"
    )
    for path in found.files:
        typer.echo(f"  {path}")
    typer.echo(
        f"next: tagforest export {found.runs[-1]} --out {workdir}/export"
    )


transfer.command()(classify)
