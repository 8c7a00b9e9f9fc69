"""How far a format's answers are from TensorFlow's: the certificate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluation.ranking import HitCounts, best_classes
from serving.formats.check_images import Batch
from serving.formats.kinds import FLOAT16, FLOAT32, INT8

PARITY = "parity.json"
# So near a threshold a rounding error decides: these tags count apart.
TIE = 1e-4
_K = 5
_TIMED_BATCHES = (1, 32)
_REPEATS = 20
_MOST_SECONDS = 5.0  # large networks are timed less often

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Limits:
    """What a format may differ by; None for anything.

    Attributes:
        probability: the largest difference of one.
        tags: that only one of both gives, ties apart.
        f1: by how much F1 at 5 may be lower or higher.
    """

    probability: float | None = None
    tags: int | None = None
    f1: float | None = None


LIMITS = {
    FLOAT32: Limits(probability=1e-4, tags=0),
    FLOAT16: Limits(f1=0.001),
    INT8: Limits(f1=0.005),
}


@dataclass(frozen=True)
class Parity:
    """A format beside TensorFlow, on the same pixels.

    Attributes:
        images: how many were compared.
        probability: the largest difference of one.
        tags: of TensorFlow, at the model's thresholds.
        tags_differ: that only one of both gives, ties apart.
        ties: such tags within `TIE` of their thresholds.
        f1_at_5: of TensorFlow and of the format; None without labels.
        rounding: the largest difference that whole pixels make to those of
            a served image file, which TensorFlow resizes to fractions; the
            same for every format.
        milliseconds: an image, by batch size: of TensorFlow and the format.
    """

    images: int
    probability: float
    tags: int
    tags_differ: int
    ties: int
    f1_at_5: tuple[float, float] | None
    rounding: float
    milliseconds: Mapping[int, tuple[float, float]]

    def beyond(self, limits: Limits) -> list[str]:
        """Returns what is beyond the limits, in words."""
        found = []
        # So written, a NaN is within no limit.
        if limits.probability and not self.probability <= limits.probability:
            found.append(
                f"a probability differs by {self.probability:.2g}, at most "
                f"{limits.probability:g} is allowed"
            )
        if limits.tags is not None and self.tags_differ > limits.tags:
            found.append(
                f"{self.tags_differ} tags differ, {limits.tags} are allowed"
            )
        if limits.f1 and self.f1_at_5 and not self._f1_apart() <= limits.f1:
            found.append(
                f"F1 at 5 differs by {self._f1_apart():.4f}, at most "
                f"{limits.f1:g} is allowed"
            )
        return found

    def _f1_apart(self) -> float:
        one, other = self.f1_at_5 or (0.0, 0.0)
        return abs(one - other)


def compare(
    batches: Iterable[Batch],
    reference: Run,
    run: Run,
    thresholds: np.ndarray,
) -> Parity:
    """Runs both on the same images.

    Args:
        reference: float32 [N, S, S, 3] in [-1, 1] -> float32 [N, classes].
        run: uint8 [N, S, S, 3] -> float32 [N, classes].
        thresholds: float32 [classes].
    """
    counts = _Counts(thresholds)
    pixels = np.zeros(0)
    for batch in batches:
        pixels = pixels if len(pixels) else batch.pixels
        theirs = reference(as_images(batch.pixels))
        counts.add(theirs, run(batch.pixels), batch.positive)
        served = reference(batch.images)
        counts.rounding = max(counts.rounding, _most(theirs - served))
    return counts.result(_times(pixels, reference, run))


def as_images(pixels: np.ndarray) -> np.ndarray:
    """Returns uint8 pixels as the network's, float32 in [-1, 1]."""
    return pixels * np.float32(2.0 / 255.0) - np.float32(1.0)


class _Counts:
    def __init__(self, thresholds: np.ndarray):
        self._thresholds = thresholds
        self._images = self._tags = self._differ = self._ties = 0
        self._probability = self.rounding = 0.0
        self._hits = HitCounts((_K,)), HitCounts((_K,))
        self._labelled = False

    def add(
        self, theirs: np.ndarray, ours: np.ndarray, positive: np.ndarray | None
    ) -> None:
        self._images += len(theirs)
        self._probability = max(self._probability, _most(ours - theirs))
        tags = theirs >= self._thresholds
        differ = tags != (ours >= self._thresholds)
        tie = np.abs(theirs - self._thresholds) <= TIE
        self._tags += int(tags.sum())
        self._differ += int((differ & ~tie).sum())
        self._ties += int((differ & tie).sum())
        if positive is None:
            return
        self._labelled = True
        columns = np.arange(positive.shape[1])
        for hits, scores in zip(self._hits, (theirs, ours), strict=True):
            best = best_classes(scores, _K, columns)
            found = np.take_along_axis(positive, best, axis=1)
            hits.add(found, positive.sum(axis=1))

    def result(self, times: Mapping[int, tuple[float, float]]) -> Parity:
        theirs, ours = (hits.at(_K).f1 for hits in self._hits)
        return Parity(
            images=self._images,
            probability=self._probability,
            tags=self._tags,
            tags_differ=self._differ,
            ties=self._ties,
            f1_at_5=(theirs, ours) if self._labelled else None,
            rounding=self.rounding,
            milliseconds=times,
        )


def _most(differences: np.ndarray) -> float:
    most = float(np.abs(differences).max(initial=0.0))
    # A NaN would lose every comparison from here on.
    return most if np.isfinite(differences).all() else float("inf")


def _times(
    pixels: np.ndarray, reference: Run, run: Run
) -> dict[int, tuple[float, float]]:
    found = {}
    for size in _TIMED_BATCHES:
        batch = np.resize(pixels, (size, *pixels.shape[1:]))
        images = as_images(batch)
        found[size] = _time(reference, images), _time(run, batch)
    return found


def _time(run: Run, batch: np.ndarray) -> float:
    """Returns the median time of an image, in milliseconds."""
    run(batch)
    taken: list[float] = []
    while len(taken) < _REPEATS and sum(taken) < _MOST_SECONDS:
        start = time.perf_counter()
        run(batch)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)) * 1e3 / len(batch)


def table(parity: Parity, limits: Limits, name: str) -> str:
    """Returns the certificate as lines of text.

    Args:
        name: of the format.
    """
    rows = [
        ("", "TensorFlow", name, "limit"),
        (
            "largest difference of a probability",
            "",
            f"{parity.probability:.2g}",
            _limit(limits.probability),
        ),
        (
            f"tags that differ, of {parity.tags:,}",
            "",
            f"{parity.tags_differ:,}",
            _limit(limits.tags),
        ),
        (f"and within {TIE:g} of a threshold", "", f"{parity.ties:,}", ""),
    ]
    if parity.f1_at_5 is not None:
        one, other = (f"{value:.4f}" for value in parity.f1_at_5)
        apart = "" if limits.f1 is None else f"{limits.f1:g} apart"
        rows.append(("F1 at 5", one, other, apart))
    for size, times in parity.milliseconds.items():
        one, other = (f"{value:.2f}" for value in times)
        rows.append((f"ms an image, batch {size}", one, other, ""))
    return "\n".join(
        f"  {a:36}{b:>11}{c:>11}  {d}".rstrip() for a, b, c, d in rows
    )


def _limit(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def to_json(parity: Parity, limits: Limits) -> dict[str, Any]:
    """Returns what `parity.json` holds of the comparison."""
    labels = parity.f1_at_5
    return {
        "images": parity.images,
        "largest_difference_of_a_probability": parity.probability,
        "tags": parity.tags,
        "tags_that_differ": parity.tags_differ,
        "tags_within_tie_of_threshold": {"tie": TIE, "differ": parity.ties},
        "f1_at_5": labels and {"tensorflow": labels[0], "format": labels[1]},
        "rounding_to_whole_pixels": parity.rounding,
        "milliseconds_an_image": {
            str(size): {"tensorflow": one, "format": other}
            for size, (one, other) in parity.milliseconds.items()
        },
        "limits": {
            "probability": limits.probability,
            "tags": limits.tags,
            "f1_at_5": limits.f1,
        },
    }
