"""The thresholds with which something is shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Beyond what a slider from 0 to 1 can say.
_BELOW, _ABOVE = -1.0, 2.0


@dataclass(frozen=True)
class When:
    """With which thresholds something holds.

    Attributes:
        calibrated: it does with those that the model brings, one a class.
        over, to: it does with one threshold for all, from 0 to 1, where
            over < threshold <= to.

    Example:
        >>> When.up_to(0.7).and_(When.up_to(0.4).negated())
        When(calibrated=False, over=0.4, to=0.7)
    """

    calibrated: bool
    over: float
    to: float

    @classmethod
    def up_to(cls, score: float, calibrated: bool = False) -> When:
        """Returns when a score reaches the threshold."""
        return cls(calibrated, _BELOW, score)

    @classmethod
    def any_of(cls, whens: Iterable[When]) -> When:
        """Returns when one of several holds, which leave no gap between."""
        found = [*whens]
        ranges = [w for w in found if w.over < w.to]
        return cls(
            any(w.calibrated for w in found),
            min((w.over for w in ranges), default=_BELOW),
            max((w.to for w in ranges), default=_BELOW),
        )

    def and_(self, other: When) -> When:
        """Returns when both hold."""
        return When(
            self.calibrated and other.calibrated,
            max(self.over, other.over),
            min(self.to, other.to),
        )

    def negated(self) -> When:
        """Returns when an `up_to`, or several in `any_of`, does not hold."""
        return When(not self.calibrated, self.to, _ABOVE)

    @property
    def is_possible(self) -> bool:
        """Some threshold makes it hold."""
        return self.calibrated or self.over < self.to

    def holds(self, threshold: float | None) -> bool:
        """Returns whether it holds.

        Args:
            threshold: 0 to 1; None for those that the model brings.
        """
        if threshold is None:
            return self.calibrated
        return self.over < threshold <= self.to

    def as_row(self) -> list[bool | float]:
        """Returns what `tag_answer.js` reads."""
        return [self.calibrated, self.over, self.to]


NEVER = When(False, _BELOW, _BELOW)
