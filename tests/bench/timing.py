"""Arms timed in turn, and which of their figures can be trusted.

A round calls every arm in order and then in reverse (A B B A), so that a
machine that gets slower or busier during it slows all arms alike. A figure is
the median of the rounds; `judge` alone decides whether it is shown, by the
interval that holds the median of endless rounds with a probability of 95 %
(order statistics: it assumes nothing of how the rounds are spread).
"""

from __future__ import annotations

import gc
import math
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, field, replace
from typing import Any

from scipy import stats

BARE, OURS = "bare", "ours"
# Seconds on the clock, or of all threads and of processes that have ended:
# other work on the machine counts less in the second.
WALL, CPU = "wall", "cpu"

# The interval of a trusted median is at most so wide, as a part of it ...
WITHIN = 0.10
# ... and that of a difference of two times a third of it.
DIFFERENCE_WITHIN = 1 / 3
# With fewer there is no interval of 95 %, however wide.
FEWEST_ROUNDS = 6
# Of an arm in a round: ten time slices of the kernel's scheduler and more.
SHORTEST_S = 0.1


@dataclass(frozen=True)
class Took:
    """Some work and what it took.

    Attributes:
        count: of images, rows or calls.
        wall, cpu: seconds.
    """

    count: float
    wall: float
    cpu: float

    def __add__(self, other: Took) -> Took:
        return Took(
            self.count + other.count,
            self.wall + other.wall,
            self.cpu + other.cpu,
        )

    def __sub__(self, other: Took) -> Took:
        return Took(
            self.count - other.count,
            self.wall - other.wall,
            self.cpu - other.cpu,
        )


Arm = Callable[[], Took]


@dataclass(frozen=True)
class Figure:
    """The median of some rounds, or why there is none.

    Attributes:
        value: NaN where `refusal` says why.
        low, high: the interval that holds it, see `median_interval`.
    """

    value: float
    low: float
    high: float
    refusal: str = ""

    def __str__(self) -> str:
        return self.refusal or shown(self.value)


@dataclass(frozen=True)
class Comparison:
    """Two figures taken side by side.

    Attributes:
        name: of the benchmark, and of the part if it has several.
        unit: of `bare` and `ours`.
        what: what `result` is: a ratio, or an added time.
        details: further figures, and facts such as how many images.
    """

    name: str
    unit: str
    bare: Figure
    ours: Figure
    what: str
    result: Figure
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns what JSON can hold; untrusted values are null."""
        return _without_nan(asdict(self))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Comparison:
        """Reads `to_json`."""
        figures = ("bare", "ours", "result")
        given = {**content, **{k: _figure(content[k]) for k in figures}}
        given["details"] = {
            k: _figure(v) if isinstance(v, dict) else v
            for k, v in content["details"].items()
        }
        return cls(**given)


def judge(
    values: Sequence[float],
    seconds: Sequence[float] | None = None,
    within: float = WITHIN,
) -> str:
    """Returns why a figure cannot be trusted, or "".

    Args:
        values: of the figure, one a round.
        seconds: that each round measured; the difference, where the value
            comes from the difference of two times. None if nothing is timed.
        within: how wide the median's interval may be, as a part of it.
    """
    if len(values) < FEWEST_ROUNDS:
        return f"not measured: {len(values)} of {FEWEST_ROUNDS} rounds"
    if seconds is not None and min(seconds) < SHORTEST_S:
        return f"too short to measure: a round of {min(seconds):.3g} s"
    low, high = median_interval(values)
    # Not "high - low > ...": NaN must be refused.
    if not high - low <= within * abs(statistics.median(values)):
        return f"not measured: median between {shown(low)} and {shown(high)}"
    return ""


def shown(value: float) -> str:
    """Returns four digits, never as 1.397e+06."""
    return f"{float(f'{value:.4g}'):,.10g}"


def figure(
    values: Sequence[float],
    seconds: Sequence[float] | None = None,
    within: float = WITHIN,
) -> Figure:
    """Returns the median if `judge` lets it pass."""
    refusal = judge(values, seconds, within)
    value = math.nan if refusal else statistics.median(values)
    return Figure(value, *median_interval(values), refusal)


def exact(value: float) -> Figure:
    """Returns a figure that was counted, not timed."""
    return Figure(value, value, value)


def without_start(
    few: Sequence[Took], many: Sequence[Took]
) -> tuple[list[Took], Took]:
    """Returns rounds of much work, less a typical run of little work.

    Args:
        few: runs of one call each: mostly the start.
        many: as `interleave` returns them, of two calls.

    Returns:
        The rounds, and what was taken off each.
    """
    typical = Took(
        *(
            2 * statistics.median(values)
            for values in zip(*map(astuple, few), strict=True)
        )
    )
    return [took - typical for took in many], typical


def rate(rounds: Sequence[Took], by: str = CPU) -> Figure:
    """Returns how many a second; of differences of two sizes, too."""
    seconds = [getattr(took, by) for took in rounds]
    return figure(_per_second(rounds, by), seconds)


def seconds_each(rounds: Sequence[Took], by: str = CPU) -> Figure:
    """Returns seconds for one."""
    seconds = [getattr(took, by) for took in rounds]
    values = [s / t.count for s, t in zip(seconds, rounds, strict=True)]
    return figure(values, seconds)


def difference(rounds: Sequence[float]) -> Figure:
    """Returns a difference of two times, if it is clear of its spread."""
    return figure(rounds, within=DIFFERENCE_WITHIN)


def interleave(
    arms: Mapping[Any, Arm], rounds: int, warm_up: int = 1
) -> dict[Any, list[Took]]:
    """Returns what every arm took, one sum of two calls a round.

    Args:
        arms: name -> work.
        rounds: how many count.
        warm_up: how often each arm is called before.
    """
    names = list(arms)
    found: dict[Any, list[Took]] = {name: [] for name in names}
    with _no_collection():
        for name in names * warm_up:
            arms[name]()
        for _ in range(rounds):
            there = {name: _clean(arms[name]) for name in names}
            back = {name: _clean(arms[name]) for name in reversed(names)}
            for name in names:
                found[name].append(there[name] + back[name])
    return found


def timed(work: Callable[[], object], count: float = 1) -> Arm:
    """Returns an arm that does the work, `count` of something."""

    def arm() -> Took:
        cpu, wall = cpu_seconds(), time.perf_counter()
        work()
        return Took(count, time.perf_counter() - wall, cpu_seconds() - cpu)

    return arm


def repeated(
    work: Callable[[], object], count: float = 1, seconds: float = 0.5
) -> Arm:
    """Returns an arm that does short work as often as fills some seconds.

    Its first call, which must be the warm-up, finds out how often that is.
    """
    times = 0

    def arm() -> Took:
        nonlocal times
        if not times:
            # What is compiled or loaded on the way must not count.
            work()
            least = min(timed(work)().cpu for _ in range(3))
            times = max(1, round(seconds / max(least, 1e-6)))
        return timed(lambda: [work() for _ in range(times)], times * count)()

    return arm


def cpu_seconds() -> float:
    """Returns CPU time of all threads, and of children that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(
            resource.getrusage,
            (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN),
        )
    )


def compare_rates(
    name: str,
    thing: str,
    took: Mapping[str, Sequence[Took]],
    details: Mapping[str, Any] | None = None,
    by: str = CPU,
) -> Comparison:
    """Returns ours / bare of things a second; more is faster."""
    bare, ours = took[BARE], took[OURS]
    return Comparison(
        name,
        f"{thing}/core-s" if by == CPU else f"{thing}/s",
        rate(bare, by),
        rate(ours, by),
        "ratio",
        ratio(ours, bare, by),
        dict(details or {}),
    )


def compare_times(name: str, took: Mapping[str, Sequence[Took]]) -> Comparison:
    """Returns ours / bare of CPU milliseconds a call; less is faster."""
    bare, ours = (
        [replace(t, count=t.count / 1000) for t in took[arm]]
        for arm in (BARE, OURS)
    )
    return Comparison(
        name,
        "core-ms",
        seconds_each(bare),
        seconds_each(ours),
        "times",
        ratio(bare, ours),
    )


def compare_added(
    name: str, bare_s: Sequence[float], ours_s: Sequence[float]
) -> Comparison:
    """Returns ours - bare of seconds a call, in ms, paired by round."""
    bare, ours = ([1000 * s for s in times] for times in (bare_s, ours_s))
    added = [o - b for o, b in zip(ours, bare, strict=True)]
    return Comparison(
        name, "ms", figure(bare), figure(ours), "added ms", difference(added)
    )


def ratio(ours: Sequence[Took], bare: Sequence[Took], by: str = CPU) -> Figure:
    """Returns the ratio of two rates, paired round by round."""
    pairs = zip(_per_second(ours, by), _per_second(bare, by), strict=True)
    shortest = [
        min(getattr(o, by), getattr(b, by))
        for o, b in zip(ours, bare, strict=True)
    ]
    return figure([o / b for o, b in pairs], shortest)


def _per_second(rounds: Sequence[Took], by: str) -> list[float]:
    # Sizes that take equally long differ by 0 s.
    return [took.count / (getattr(took, by) or math.nan) for took in rounds]


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Returns what holds the median with 95 %; NaN for too few values."""
    test = stats.quantile_test(values, p=0.5)
    low, high = test.confidence_interval(confidence_level=0.95)
    return float(low), float(high)


@contextmanager
def _no_collection() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _clean(arm: Arm) -> Took:
    """Calls an arm, which does not pay for what others left to collect."""
    gc.collect()
    return arm()


def _figure(content: dict[str, Any]) -> Figure:
    return Figure(
        **{k: math.nan if v is None else v for k, v in content.items()}
    )


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _without_nan(v) for k, v in content.items()}
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
