"""Answers that were computed in batches of other sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from serving.api.prediction import Prediction


def assert_alike(
    found: Iterable[Prediction], expected: Iterable[Prediction]
) -> None:
    """Equal, scores but for rounding.

    How many rows a call has decides how a CPU's kernels add up: the seventh
    digit of a score may differ.
    """
    found, expected = list(found), list(expected)
    assert _without_scores(found) == _without_scores(expected)
    assert _scores(found) == pytest.approx(_scores(expected), rel=1e-6)


def _scores(predictions: list[Prediction]) -> list[float]:
    return [tag.score for p in predictions for tag in p.tags]


def _without_scores(predictions: list[Prediction]) -> list[Prediction]:
    return [
        replace(p, tags=tuple(replace(tag, score=0.0) for tag in p.tags))
        for p in predictions
    ]
