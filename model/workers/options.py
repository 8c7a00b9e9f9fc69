"""How many processes share a work, and how they find each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options


@dataclass(frozen=True, kw_only=True)
class WorkersOptions(Options):
    """Who shares a work: processes of this machine, or a cluster's hosts."""

    local_workers: Annotated[
        int, Option("Processes on this machine.", min=1)
    ] = 1
    hosts: Annotated[
        str | None,
        Option("host:port of every worker, instead of TF_CONFIG."),
    ] = None
    worker_index: Annotated[
        int | None, Option("Place in --hosts; else JOB_COMPLETION_INDEX.")
    ] = None
    join_seconds: Annotated[
        int, Option("Longest wait for the other workers.", min=1)
    ] = 600

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.worker_index is not None and self.hosts is None:
            raise InputError("--worker-index is a place in --hosts: give both")
