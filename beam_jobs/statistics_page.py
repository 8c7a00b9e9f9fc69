"""The statistics of a data set as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from beam_jobs.hierarchy import Hierarchy
from beam_jobs.vocabulary import Vocabulary

if TYPE_CHECKING:
    from beam_jobs.statistics import Statistics


def render(
    splits: Mapping[str, Statistics],
    vocabulary: Vocabulary,
    rejected: Mapping[str, int],
    *,
    hierarchy: Hierarchy | None = None,
    trainable_above: int,
) -> str:
    """Returns the page."""
    images = sum(s.images for s in splits.values())
    return f"<!doctype html><title>Data set</title><p>{images} images\n"
