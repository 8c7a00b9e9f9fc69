"""Works that workers share; no TensorFlow."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import numpy as np

from beam_jobs.errors import InputError
from model.workers.team import Team


class Sum:
    """Counts that are one number, or some."""

    def __init__(self, total):
        self.total = np.asarray(total)

    def tables(self) -> list[np.ndarray]:
        return [self.total]

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        self.total = self.total + tables[0]


def add(team: Team, total: int) -> list[int]:
    """Returns the sum of the numbers below `total`, and how many added."""
    counts = Sum([sum(team.part_of(total)), 1])
    team.add_up(counts)
    return counts.total.tolist()


def die(team: Team, index: int) -> None:
    """One worker is killed; the others add."""
    if team.index == index:
        os.kill(os.getpid(), signal.SIGKILL)
    team.add_up(Sum(1))


def refuse(team: Team, index: int) -> None:
    """One worker finds something wrong; the others add."""
    if team.index == index:
        raise InputError(f"worker {index} finds it wrong")
    team.add_up(Sum(1))


def crash(team: Team, index: int) -> None:
    """One worker has a defect; the others add."""
    if team.index == index:
        raise ZeroDivisionError
    team.add_up(Sum(1))
