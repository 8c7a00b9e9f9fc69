"""How a training runs: its processes, and what is made of an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options
from model.training.profiling import parse_profile


@dataclass(frozen=True)
class TrainOptions(Options):
    """How a training runs; what it trains is the config's.

    The processes on this machine are joined by MultiWorkerMirroredStrategy
    over loopback. With restarts even a single worker is a process of its own.
    """

    local_workers: Annotated[
        int, Option("Processes on this machine.", min=1)
    ] = 1
    max_restarts: Annotated[
        int, Option("Times to go on by itself if a worker dies.", min=0)
    ] = 0
    join_seconds: Annotated[
        int, Option("Longest wait for the other workers of a cluster.", min=1)
    ] = 600
    restart: Annotated[
        bool, Option("Throws an earlier training there away.")
    ] = False
    extend: Annotated[
        bool, Option("Goes on with another schedule: more epochs, ...")
    ] = False
    dry_run: Annotated[
        bool, Option("Says what a training would take; trains nothing.")
    ] = False
    json: Annotated[bool, Option("Says so as JSON.")] = False
    profile: Annotated[
        tuple[int, int] | None,
        Option(
            "Steps to profile for TensorBoard: 10,20.",
            typed=str,
            parse=parse_profile,
        ),
    ] = None

    def __post_init__(self):
        super().__post_init__()
        if self.extend and self.restart:
            raise InputError(
                "--extend goes on with a training, --restart throws it away: "
                "give one of them"
            )
        if self.json and not self.dry_run:
            raise InputError("--json is for --dry-run: give both")
