"""The commands `tagforest transfer`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from beam_jobs.cli_options import takes_options
from model.training.options import TrainOptions
from model.transfer.options import ClassifyOptions
from model.transfer.region_options import RegionOptions

transfer = typer.Typer(
    name="transfer",
    help="Go on from a tagger to another task.",
    no_args_is_help=True,
)


_Workdir = Annotated[
    Path, typer.Option(help="For the data set, the runs and the figures.")
]
_From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="A training, an export, a TF1 checkpoint, a KerasHub preset.",
    ),
]
_Config = Annotated[
    str | None,
    typer.Option(
        help="Network and images; a shipped config, or a .py or .json file. "
        "Default: the source's."
    ),
]
_Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Changes a field: schedule.epochs=3."),
]
_Workers = Annotated[
    int, typer.Option(min=1, help="Processes on this machine.")
]


@takes_options
def classify(
    options: ClassifyOptions,
    workdir: _Workdir,
    from_: _From = None,
    config: _Config = None,
    set_: _Set = None,
    local_workers: _Workers = 1,
) -> None:
    """Learn folders of images, one class each, and judge it.

    `tagforest export` and `serve` take the run like any other.
    """
    from model.transfer.classify import classify as learn

    found = _run(learn, options, workdir, from_, config, set_, local_workers)
    typer.echo(
        f"{found.images} images: top-1 {found.top_1:.4f}, top-5 "
        f"{found.top_5:.4f}, mean per class {found.mean_per_class:.4f}"
    )
    for path in found.files:
        typer.echo(f"  {path}")
    typer.echo(
        f"next: tagforest export {found.runs[-1]} --out {workdir}/export"
    )


@takes_options
def detect(
    options: RegionOptions,
    workdir: _Workdir,
    from_: _From = None,
    config: _Config = None,
    set_: _Set = None,
    local_workers: _Workers = 1,
) -> None:
    """Learn where objects are, of images with boxes, and judge it.

    --voc, --coco and --open-images have boxes. `tagforest export` and `serve`
    take the run.
    """
    _learn("detection", options, workdir, from_, config, set_, local_workers)


@takes_options
def segment(
    options: RegionOptions,
    workdir: _Workdir,
    from_: _From = None,
    config: _Config = None,
    set_: _Set = None,
    local_workers: _Workers = 1,
) -> None:
    """Learn the class of each pixel, of images with masks, and judge it.

    --masks names the masks. `tagforest export` and `serve` take the run.
    """
    _learn("segmentation", options, workdir, from_, config, set_, local_workers)


def _learn(
    task: str, options: RegionOptions, workdir: Path, *given: Any
) -> None:
    from model.transfer.learn_regions import learn

    found = _run(functools.partial(learn, task), options, workdir, *given)
    typer.echo(found.report)
    for path in found.report.files:
        typer.echo(f"  {path}")
    typer.echo(f"next: tagforest export {found.run} --out {workdir}/export")


def _run(
    learn: Callable[..., Any],
    options: Any,
    workdir: Path,
    source: str | None,
    config: str | None,
    changes: list[str] | None,
    local_workers: int,
) -> Any:
    from model.config import load_config

    return learn(
        options,
        workdir,
        source,
        None if config is None else load_config(config),
        changes or (),
        TrainOptions(local_workers=local_workers),
    )


transfer.command()(classify)
transfer.command()(detect)
transfer.command()(segment)
