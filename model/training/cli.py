"""The commands that train."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from beam_jobs.cli_options import takes_options
from beam_jobs.errors import InputError
from model.training.estimate import Estimate
from model.training.options import TrainOptions
from model.training.rate_options import PICTURE, RateOptions
from model.training.train_result import TrainResult

_DEFAULT = "tiny_imagenet"
_Dataset = Annotated[
    str, typer.Argument(help="Data set folder, from `tagforest dataset`.")
]
_Config = Annotated[
    str, typer.Option(help="Name of a shipped config, or a .py or .json file.")
]
_Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Changes a field: schedule.epochs=3."),
]


@takes_options
def train(
    dataset: _Dataset,
    workdir: Annotated[
        Path,
        typer.Option(help="For checkpoints, logs and the final weights."),
    ],
    config: _Config = _DEFAULT,
    set_: _Changes = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Starts from a training, an export, a TF1 checkpoint, "
            "a KerasHub preset.",
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(help="What does not train: backbone,old-classes."),
    ] = None,
    hosts: Annotated[
        str | None,
        typer.Option(help="host:port of every worker, instead of TF_CONFIG."),
    ] = None,
    worker_index: Annotated[
        int | None,
        typer.Option(help="Place in --hosts; else JOB_COMPLETION_INDEX."),
    ] = None,
    *,
    options: TrainOptions,
) -> None:
    """Trains a tagger, or goes on where an earlier run stopped.

    SIGTERM and Ctrl-C save first (exit status 143 and 130).
    """
    changes = [*_start(from_, freeze), *(set_ or [])]
    wanted = _load(config, changes)
    _join(hosts, worker_index)
    if config == _DEFAULT:
        wanted = _load(config, changes, dataset)
    _run(wanted, dataset, workdir, options)


@takes_options
def find_rate(
    dataset: _Dataset,
    config: _Config = _DEFAULT,
    set_: _Changes = None,
    *,
    options: RateOptions,
) -> None:
    """Finds a learning rate: a short training whose rate grows, thrown away."""
    from beam_jobs.files.checks import check_output_folder
    from model.training import train as train_

    check_output_folder(options.out)
    changes = set_ or []
    wanted = _load(config, changes)
    if config == _DEFAULT:
        wanted = _load(config, changes, dataset)
    found = train_.find_rate(wanted, dataset, options)
    changes += [
        f"schedule.learning_rate={found.suggested:.2g}",
        f"schedule.warmup_learning_rate={found.suggested / 10:.2g}",
    ]
    sets = " ".join(f"--set {shlex.quote(change)}" for change in changes)
    typer.echo(
        f"least loss at a learning rate of {found.least_at:.2g}, after "
        f"{len(found.rates)} of {options.steps} steps; a tenth of it is a "
        f"good one\nsee {options.out / PICTURE}\n"
        f"next: tagforest train {dataset} --workdir runs/first --config "
        f"{config} {sets}"
    )


def _load(config: str, changes: list[str], dataset: str | None = None) -> Any:
    """Returns the changed config, fitted to a data set if one is given."""
    from model.config import load_config, override
    from model.training.small_data import fitted

    loaded = load_config(config)
    return override(fitted(loaded, dataset) if dataset else loaded, changes)


def _join(hosts: str | None, worker_index: int | None) -> None:
    from model.workers import cluster

    if hosts is not None:
        cluster.join(hosts, worker_index)
    elif worker_index is not None:
        raise InputError("--worker-index is a place in --hosts: give both")


def _run(
    config: Any, dataset: str, workdir: Path, options: TrainOptions
) -> None:
    from model.training import train as train_

    if options.dry_run:
        _tell(train_.estimate(config, dataset, workdir, options), options.json)
        return
    _say_done(train_.train(config, dataset, workdir, options), dataset)


def _start(source: str | None, freeze: str | None) -> list[str]:
    """Returns what the options change in the config."""
    changes = []
    if source is not None:
        changes.append(f"start.source={source!r}")
    if freeze is not None:
        parts = [part.strip().replace("-", "_") for part in freeze.split(",")]
        changes.append(f"start.freeze={parts}")
    return changes


def _say_done(result: TrainResult, dataset: str) -> None:
    chosen = f" of {result.best}" if result.best else ""
    workdir = Path(result.workdir)
    typer.echo(
        f"trained {result.epochs} epochs, loss {result.loss:.4f}, "
        f"{result.images_per_second:.0f} images/s; weights{chosen} in "
        f"{workdir}\n"
        f"next: tagforest evaluate {workdir} {dataset}\n"
        f"      tensorboard --logdir {workdir / 'logs'}"
    )


def _tell(found: Estimate, as_json: bool) -> None:
    from model.training import estimate

    if as_json:
        typer.echo(json.dumps(estimate.as_json(found), indent=2))
        return
    for line in estimate.lines(found):
        typer.echo(line)
