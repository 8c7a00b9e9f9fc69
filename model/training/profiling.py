"""Which steps of a training to profile (no TensorFlow here)."""

from __future__ import annotations

import re

from beam_jobs.errors import InputError

# TensorBoard reads a profile whole.
_MOST = 100


def parse_profile(text: str) -> tuple[int, int]:
    """Returns the first and last step of `10,20`.

    Steps count from 1, from the start of the run.

    Raises:
        InputError: not two numbers, the wrong way round, or too many steps.
    """
    match = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*", text)
    if match is None:
        raise InputError(
            "--profile needs the first and the last step, such as 10,20; "
            f"received: {text!r}"
        )
    first, last = int(match[1]), int(match[2])
    if not 1 <= first <= last:
        raise InputError(
            "--profile needs a first step from 1 on, and a last one not "
            f"before it; received: {text!r}"
        )
    if last - first >= _MOST:
        raise InputError(
            f"--profile takes at most {_MOST} steps, since a profile grows by "
            f"megabytes a step; received: {text!r}; try {first},{first + 9}"
        )
    return first, last


def check_profile(profile: tuple[int, int], steps: int) -> None:
    """Raises InputError if a run has not so many steps."""
    if profile[1] > steps:
        raise InputError(
            f"--profile {profile[0]},{profile[1]} ends behind the last step "
            f"of this run; allowed: up to {steps}"
        )
