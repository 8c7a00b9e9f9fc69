"""Scores of every class counted in bins: what all else is computed from.

50,000 images times 11,166 classes are 2.2 GB of scores. Their counts in bins
of the logit are 0.28 GB however many images come, and average precision,
calibration and thresholds need no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numpy as np
from scipy.special import digamma

# Probabilities beyond those of this logit count as equal: float32 sigmoids
# are 1 from 16.6 on.
LARGEST_LOGIT = 16.2
BINS = 2048

# What a label says about an image and a class.
POSITIVE, ABSENT, UNKNOWN = 1, 0, -1

# Rows of [classes, bins] that are worked on at once: 4 MB of doubles.
_BLOCK = 256
# Scores of 0 and 1 have no logit: they count as this far from it.
_SMALLEST = 1e-7


class ScoreHistogram:
    """Counts of images by class, bin of the logit and label.

    Bins are equal steps of the logit, since most of 11,166 probabilities lie
    near 0. Scores in one bin (odds within 1.6 % at 2,048 bins) are ties.
    Takes 12 x classes x bins bytes.

    Attributes:
        counts: uint32 [3, classes, bins], of verified absent, positive and
            unknown labels.
    """

    def __init__(self, classes: int, bins: int = BINS):
        self.counts = np.zeros((3, classes, bins), np.uint32)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.counts.shape[1]

    @property
    def bins(self) -> int:
        """Number of bins."""
        return self.counts.shape[2]

    @property
    def positives(self) -> np.ndarray:
        """uint32 [classes, bins]: positive images."""
        return self.counts[POSITIVE]

    @property
    def images(self) -> int:
        """Number of images; 0 without classes."""
        return int(self.counts[:, :1].sum(dtype=np.int64))

    def negatives(self, known_only: bool = False) -> np.ndarray:
        """Returns uint32 [classes, bins]: images without the class.

        Args:
            known_only: those alone whose annotators looked for the class.
        """
        absent = self.counts[ABSENT]
        return absent if known_only else absent + self.counts[UNKNOWN]

    def add(self, labels: np.ndarray, scores: np.ndarray) -> None:
        """Counts a batch.

        Args:
            labels: [images, classes]; above 0 positive, 0 verified absent,
                below 0 unknown.
            scores: probabilities [images, classes].
        """
        bins = bins_of(logits_of(scores), self.bins)
        _count(self.counts, np.ascontiguousarray(labels), bins)

    def tables(self) -> list[np.ndarray]:
        """Returns what was counted; see `model.workers.team.Counts`."""
        return [self.counts]

    def add_tables(self, tables: Sequence[np.ndarray]) -> None:
        """Adds what another one has counted."""
        self.counts += tables[0]

    def average_precision(
        self, known_only: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the average precision of every class, and its error.

        Returns:
            float64 [classes], 0 for a class without positives; and the most
            by which it can differ from that of the unbinned, distinct scores.
        """
        found = np.zeros(self.classes)
        error = np.zeros(self.classes)
        for rows in blocks(self.classes):
            positives = self.positives[rows]
            negatives = self.counts[ABSENT, rows]
            if not known_only:
                negatives = negatives + self.counts[UNKNOWN, rows]
            found[rows], error[rows] = average_precision(positives, negatives)
        return found, error


def average_precision(
    positives: np.ndarray, negatives: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the average precision of score histograms, and its error.

    AP = sum over bins, best first, of (recall gained) x (precision down to
    and with this bin): scores in one bin are ties. The error compares with
    both orders of the ties: had t of c images before it been positive, p
    positives in a row give sum of (t + i) / (c + i) = p - (c - t) (H(c + p) -
    H(c)), with the harmonic numbers H.

    Args:
        positives, negatives: images [classes, bins], lowest scores first.

    Returns:
        Two float64 [classes], 0 for a class without positives.
    """
    p = np.flip(positives, axis=-1).astype(np.float64)
    n = np.flip(negatives, axis=-1).astype(np.float64)
    true = np.cumsum(p, axis=-1)
    wrong = np.cumsum(n, axis=-1)
    images = np.maximum(true[:, -1], 1.0)
    tied = np.sum(p * true / np.maximum(true + wrong, 1.0), axis=-1) / images

    def in_order(wrong_before):
        chosen = true - p + wrong_before
        gained = digamma(chosen + p + 1) - digamma(chosen + 1)
        return np.sum(p - wrong_before * gained, axis=-1) / images

    best, worst = in_order(wrong - n), in_order(wrong)
    return tied, np.maximum(np.abs(best - tied), np.abs(tied - worst))


@numba.njit(cache=True, nogil=True)
def _count(counts, labels, bins):
    # By class, image after image: the counts of a class lie together.
    for column in range(labels.shape[1]):
        for image in range(len(labels)):
            label = labels[image, column]
            # -1 is the last of three, as Python counts.
            kind = POSITIVE if label > 0 else UNKNOWN if label < 0 else ABSENT
            counts[kind, column, bins[image, column]] += 1


def logits_of(scores: Any) -> np.ndarray:
    """Returns log(p / (1 - p)), float32, within +-`LARGEST_LOGIT`."""
    p = np.clip(np.asarray(scores, np.float32), _SMALLEST, 1 - _SMALLEST)
    return np.clip(np.log(p) - np.log1p(-p), -LARGEST_LOGIT, LARGEST_LOGIT)


def bins_of(logits: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Returns the bin of every logit, int64; those beyond go to the ends."""
    places = (np.asarray(logits) + LARGEST_LOGIT) * (bins / 2 / LARGEST_LOGIT)
    return np.clip(np.floor(places), 0, bins - 1).astype(np.int64)


def lower_edges(bins: int = BINS) -> np.ndarray:
    """Returns the least logit of every bin, float64 [bins]."""
    return np.linspace(-LARGEST_LOGIT, LARGEST_LOGIT, bins + 1)[:-1]


def centres(bins: int = BINS) -> np.ndarray:
    """Returns the middle logit of every bin, float64 [bins]."""
    return lower_edges(bins) + LARGEST_LOGIT / bins


def moved(
    counts: np.ndarray, slope: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Returns the histogram of slope x logit + offset.

    Args:
        counts: [classes, bins].
        slope, offset: [classes].

    Returns:
        float64 [classes, bins].
    """
    classes, bins = counts.shape
    logits = slope[:, None] * centres(bins) + offset[:, None]
    cells = bins_of(logits, bins) + bins * np.arange(classes)[:, None]
    weights = counts.reshape(-1).astype(np.float64)
    found = np.bincount(cells.reshape(-1), weights, classes * bins)
    return found.reshape(classes, bins)


def blocks(rows: int) -> Iterator[slice]:
    """Yields slices that cover so many rows of [classes, bins]."""
    for start in range(0, rows, _BLOCK):
        yield slice(start, min(start + _BLOCK, rows))
