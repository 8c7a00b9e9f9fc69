"""Which split an image belongs to: a function of its content alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from beam_jobs.errors import InputError
from beam_jobs.layout import SPLITS, TRAIN

DEFAULT_FRACTIONS = {"train": 0.9, "validation": 0.1}


def parse_fractions(text: str) -> dict[str, float]:
    """Returns fractions by split from `train=0.9,validation=0.1`.

    Raises:
        InputError: malformed, an unknown split, no train split, or a sum
            other than 1.
    """
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            fraction = float(value)
        except ValueError:
            fraction = -1.0
        if name not in SPLITS or not 0 <= fraction <= 1:
            raise InputError(
                "splits are written as train=0.9,validation=0.1 with names "
                f"out of {', '.join(SPLITS)}; received: {part!r}"
            )
        fractions[name] = fraction
    if abs(sum(fractions.values()) - 1) > 1e-9 or not fractions.get(TRAIN):
        raise InputError(
            "the fractions must add up to 1, with a part for train; "
            f"received: {text!r}"
        )
    return fractions


def split_of(sha256: str, fractions: Mapping[str, float], seed: int) -> str:
    """Returns the split of an image, from the SHA-256 (hex) of its bytes.

    Exact copies share a hash and so a split, whatever their names; a new
    image never moves an old one.
    """
    point = uniform(f"split:{seed}:{sha256}")
    for name in SPLITS:
        point -= fractions.get(name, 0.0)
        if point < 0:
            return name
    return TRAIN


def uniform(text: str) -> float:
    """Returns a number in [0, 1) that depends on the text alone."""
    digest = hashlib.sha256(text.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
