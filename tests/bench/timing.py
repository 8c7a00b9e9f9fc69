"""Arms timed in turn, so that a busy machine slows all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

BARE, OURS = "bare", "ours"


@dataclass(frozen=True)
class Comparison:
    """Two figures taken side by side.

    Attributes:
        name: of the benchmark, and of the part if it has several.
        unit: of `bare` and `ours`.
        bare, ours: medians over the rounds.
        result: what the benchmark is about, as a name and a value: a ratio,
            or an added time.
        lowest, highest: the same result, round by round.
        details: further figures.
    """

    name: str
    unit: str
    bare: float
    ours: float
    result: tuple[str, float]
    lowest: float
    highest: float
    details: dict[str, float] = field(default_factory=dict)


def interleave(
    arms: Mapping[Any, Callable[[], float]], rounds: int
) -> dict[Any, list[float]]:
    """Returns what every call gave, after one round that does not count.

    Args:
        arms: name -> work that returns its figure; called A B A B ...
        rounds: how often each is called and counted.
    """
    figures: dict[Any, list[float]] = {name: [] for name in arms}
    for number in range(rounds + 1):
        for name, work in arms.items():
            figure = work()
            if number:
                figures[name].append(figure)
    return figures


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """Returns a function that does the work and returns the seconds."""

    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


def compare_rates(
    name: str,
    unit: str,
    rates: Mapping[str, list[float]],
    details: Mapping[str, float] | None = None,
) -> Comparison:
    """Returns ours / bare of rates given round by round; more is faster."""
    return _compare(name, unit, rates, details, "ratio")


def compare_times(
    name: str,
    unit: str,
    times: Mapping[str, list[float]],
    details: Mapping[str, float] | None = None,
) -> Comparison:
    """Returns ours / bare of times given round by round; less is faster."""
    return _compare(name, unit, times, details, "times")


def _compare(name, unit, rates, details, what) -> Comparison:
    bare = statistics.median(rates[BARE])
    ours = statistics.median(rates[OURS])
    by_round = [o / b for o, b in zip(rates[OURS], rates[BARE], strict=True)]
    return Comparison(
        name,
        unit,
        bare,
        ours,
        (what, ours / bare),
        min(by_round),
        max(by_round),
        dict(details or {}),
    )
