"""The splits that the sources say, and which images lie across them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_jobs.dataset.dataset_folder import CALIBRATION, SPLITS, TRAIN
from beam_jobs.dataset_job.options import SplitOptions
from beam_jobs.dataset_job.splits import uniform
from beam_jobs.images.near_duplicates import near_duplicates

_TRAIN, _CALIBRATION = SPLITS.index(TRAIN), SPLITS.index(CALIBRATION)


@dataclass(frozen=True)
class KeptReport:
    """What is to be known of splits that were kept.

    Attributes:
        without_split: images that no source puts in one; they are in train.
        copies: images outside train that have an exact copy in another split.
        near_duplicates: further ones that have a near-duplicate there.
    """

    without_split: int
    copies: int
    near_duplicates: int


def keep_splits(
    content: np.ndarray,
    perceptual: np.ndarray | None,
    given: np.ndarray,
    options: SplitOptions,
) -> tuple[np.ndarray, np.ndarray, KeptReport]:
    """Keeps the splits of the sources, and finds what lies across them.

    Args:
        content, perceptual: as of `splits.assign_splits`.
        given: int8 [images], index into `dataset_folder.SPLITS`; -1 for none.
        options: the distance of near-duplicates; a fraction of calibration
            is drawn out of train.

    Returns: int8 [images], as `given` but for these; bool [images], outside
        train and like one of another split; what there is to say.
    """
    split = np.where(given < 0, np.int8(_TRAIN), given)
    points = uniform(content, f"split:{options.seed}")
    drawn = points < options.fractions.get(CALIBRATION, 0.0)
    split[drawn & (split == _TRAIN)] = _CALIBRATION
    max_distance = options.near_duplicate_distance
    held = split != _TRAIN
    copies = held & _shared(content, split)
    near = np.zeros_like(held)
    if perceptual is not None and max_distance >= 0:
        near = held & ~copies & _near(perceptual, split, max_distance)
    missing = int((given < 0).sum())
    report = KeptReport(missing, int(copies.sum()), int(near.sum()))
    return split, copies | near, report


def _shared(content: np.ndarray, split: np.ndarray) -> np.ndarray:
    """Tells which images have an exact copy in another split."""
    _, copies = np.unique(content, return_inverse=True)
    low = np.full(len(content), len(SPLITS))
    high = np.full(len(content), -1)
    np.minimum.at(low, copies, split)
    np.maximum.at(high, copies, split)
    return (low != high)[copies]


def _near(
    perceptual: np.ndarray, split: np.ndarray, max_distance: int
) -> np.ndarray:
    """Tells which images outside train are near one of another split."""
    # Equal hashes of a split are one node, so that many of them cost nothing.
    pairs = np.stack([perceptual, split.astype(np.uint64)], axis=1)
    nodes, node_of = np.unique(pairs, axis=0, return_inverse=True)
    hashes, of_split = np.ascontiguousarray(nodes[:, 0]), nodes[:, 1]
    left, right = near_duplicates(hashes, of_split != _TRAIN, max_distance)
    found = np.zeros(len(nodes), bool)
    found[left[of_split[left] != of_split[right]]] = True
    return found[node_of.reshape(-1)]
