"""How images go through the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option
from model.workers.options import WorkersOptions


@dataclass(frozen=True)
class BatchOptions(WorkersOptions):
    """How images go through the network, outside of training."""

    batch_size: Annotated[
        int, Option("Images the network sees at once.", min=1)
    ] = 64
    progress: Annotated[bool, Option("Show a bar.")] = True
