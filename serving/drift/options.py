"""What `tagforest drift` compares, and when it gives an alarm."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

from beam_jobs.errors import InputError
from beam_jobs.option_fields import Option, Options

# Chance alone then gives an alarm in 1 of 100 windows at most.
ALPHA = 0.01


def parse_time(text: str) -> float:
    """Returns seconds since 1970 of an ISO 8601 time; UTC unless it says.

    Raises:
        InputError: it is none.

    Example:
        >>> parse_time("2026-01-01"), parse_time("2026-01-01T01:00+01:00")
        (1767225600.0, 1767225600.0)
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"a time is written as 2026-01-31 or 2026-01-31T12:00:00; "
            f"received: {text[:80]!r}"
        ) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=timezone.utc)
    return found.timestamp()


@dataclass(frozen=True)
class WindowOptions(Options):
    """Which lines of a request log count.

    Attributes:
        since, until: seconds since 1970, the first included, the other not.
        last: only so many requests, the latest ones that are left.

    Raises:
        InputError: nothing can lie between the times.
    """

    since: Annotated[
        float | None,
        Option(
            "From this time on, as 2026-01-31T12:00:00 (UTC).",
            typed=str,
            parse=parse_time,
        ),
    ] = None
    until: Annotated[
        float | None,
        Option("Before this time.", typed=str, parse=parse_time),
    ] = None
    last: Annotated[
        int | None, Option("Only the latest so many requests.", min=1)
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if None not in (self.since, self.until) and not (
            (self.since or 0) < (self.until or 0)
        ):
            raise InputError("--since must be before --until")

    def holds(self, time: float) -> bool:
        """Returns whether a request of this time counts, but for `last`."""
        return (self.since is None or time >= self.since) and (
            self.until is None or time < self.until
        )


@dataclass(frozen=True)
class DriftOptions(Options):
    """How a window is compared with the reference.

    Attributes:
        reference: a request log; None for what the export holds.
        alpha: false alarms of all undisturbed windows, at most.
        least_psi: smaller changes give no alarm, however sure they are.
        least_images: of window and reference, or there is no answer.
        page: HTML file to write.
        tensorboard: folder of events.
    """

    window: WindowOptions = WindowOptions()
    reference: Annotated[
        Path | None,
        Option("A log of good days, instead of the export's own reference."),
    ] = None
    alpha: Annotated[
        float,
        Option("Windows without drift that give an alarm.", over=0, max=0.5),
    ] = ALPHA
    least_psi: Annotated[
        float,
        Option("No alarm for changes with a lower stability index.", min=0),
    ] = 0.0
    least_images: Annotated[
        int, Option("With fewer there is no answer.", min=20)
    ] = 200
    page: Annotated[Path | None, Option("HTML page to write, with plots.")] = (
        None
    )
    tensorboard: Annotated[
        Path | None, Option("Folder of a TensorBoard run to add to.")
    ] = None
