"""What a model must keep to in the server, before it is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from beam_jobs.option_fields import Option, Options

_PANEL = "Serve check"


@dataclass(frozen=True)
class ServeCheckOptions(Options):
    """Limits of a model in the local server."""

    max_latency_ms: Annotated[
        float,
        Option(
            "Slowest of a hundred answers for one image over gRPC.",
            over=0,
            panel=_PANEL,
        ),
    ] = 2000.0
    max_memory_mb: Annotated[
        float,
        Option("Memory that the loaded model takes.", over=0, panel=_PANEL),
    ] = 8000.0
