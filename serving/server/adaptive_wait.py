"""How long a batch that is not full should wait for company."""

from __future__ import annotations

import time

_WEIGHT = 0.05  # of the newest observation
_FIRST_S = 1.0  # between requests, until two have come


class AdaptiveWait:
    """Waits only where the next request is likely to come soon enough.

    A call of the model takes about a + b * rows seconds. When a request joins
    a batch that waits, the model saves one a; meanwhile every waiting row
    loses the time until it comes. So waiting pays while

        waiting rows * expected time to the next request < a.

    a and b come from a line through the calls so far, the expected time from
    the requests so far; both forget the past exponentially. The idea of
    weighing the two is BentoML's
    (https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html);
    the rule is ours.
    """

    def __init__(self) -> None:
        self._between_s = _FIRST_S
        self._last: float | None = None
        self._mean = (0.0, 0.0)  # rows, seconds
        self._spread = (0.0, 0.0)  # variance of rows, their covariance
        self._calls = 0

    def note_request(self, now: float | None = None) -> None:
        """Notes that a request came in."""
        now = time.monotonic() if now is None else now
        if self._last is not None:
            # A night without requests is not to be remembered for twenty more.
            gap = min(now - self._last, _FIRST_S)
            self._between_s += _WEIGHT * (gap - self._between_s)
        self._last = now

    def note_call(self, rows: int, seconds: float) -> None:
        """Notes what a call of the model took."""
        self._calls += 1
        # The first twenty count alike: one alone would be all there is known.
        weight = max(_WEIGHT, 1 / self._calls)
        off_rows = rows - self._mean[0]
        off_seconds = seconds - self._mean[1]
        self._mean = (
            self._mean[0] + weight * off_rows,
            self._mean[1] + weight * off_seconds,
        )
        keep = 1 - weight
        variance, covariance = self._spread
        self._spread = (
            keep * (variance + weight * off_rows**2),
            keep * (covariance + weight * off_rows * off_seconds),
        )

    @property
    def fixed_s(self) -> float:
        """Seconds of a call, whatever its rows: a."""
        variance, covariance = self._spread
        per_row = max(0.0, covariance / variance) if variance else 0.0
        return max(0.0, self._mean[1] - per_row * self._mean[0])

    def seconds(self, waiting_rows: int) -> float:
        """Returns how long to wait for the next request; 0 for not at all."""
        if waiting_rows * self._between_s >= self.fixed_s:
            return 0.0
        # Twice the expected time: after that none is coming.
        return 2 * self._between_s
