"""What a component needs of a machine: `Trainer=16,64,2xNVIDIA_TESLA_T4`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from beam_jobs.errors import InputError

_FORM = re.compile(
    r"(?P<component>\w+)=(?P<cpus>\d+(?:\.\d+)?),(?P<memory>\d+(?:\.\d+)?)"
    r"(?:,(?P<count>[1-9]\d*)x(?P<accelerator>[A-Za-z0-9_-]+))?"
)


@dataclass(frozen=True)
class Resources:
    """Of one component.

    Attributes:
        component: its id.
        cpus: most that it may take.
        memory_gb: likewise.
        accelerators: how many.
        accelerator: type of them, as the platform calls it.
    """

    component: str
    cpus: float
    memory_gb: float
    accelerators: int = 0
    accelerator: str = ""


def parse_resources(texts: Sequence[str]) -> tuple[Resources, ...]:
    """Reads COMPONENT=CPUS,GB[,COUNTxACCELERATOR] of each component.

    Raises:
        InputError: one that is written otherwise.
    """
    found = []
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            raise InputError(
                "resources are written COMPONENT=CPUS,GB or "
                "COMPONENT=CPUS,GB,COUNTxACCELERATOR, as "
                f"Trainer=16,64,2xNVIDIA_TESLA_T4; received: {text}"
            )
        found.append(
            Resources(
                match["component"],
                float(match["cpus"]),
                float(match["memory"]),
                int(match["count"] or 0),
                match["accelerator"] or "",
            )
        )
    return tuple(found)
