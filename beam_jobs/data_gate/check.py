"""The data gate: what is wrong with a data set, alone and beside another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from beam_jobs.data_gate.options import DataGateOptions
from beam_jobs.data_gate.summary import DataSummary
from beam_jobs.dataset.manifest import Manifest

# Of the classes that a line names.
_NAMED = 5


@dataclass(frozen=True)
class ClassChange:
    """A class's share of the images, before and now.

    Attributes:
        wnid, name: of the class.
        before, now: images that have it.
        z: how many standard errors its share has moved by.
    """

    wnid: str
    name: str
    before: int
    now: int
    z: float


@dataclass(frozen=True)
class Verdict:
    """Whether a data set may be trained on.

    Attributes:
        images: of the data set.
        before: images of the data it was compared with; None without any.
        reasons: why not, a line each; empty if it may.
        lost: classes that have no images any more.
        moved: classes whose share has moved too far, most first.
    """

    images: int
    before: int | None
    reasons: tuple[str, ...]
    lost: tuple[ClassChange, ...] = ()
    moved: tuple[ClassChange, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether there is no reason against it."""
        return not self.reasons


def check(
    dataset: str | os.PathLike[str],
    before: DataSummary | None,
    options: DataGateOptions | None = None,
) -> Verdict:
    """Checks a data set.

    Args:
        dataset: its folder.
        before: the last accepted data; None for the first.
        options: what it must keep to.

    Raises:
        InputError: no data set there, or one without statistics.
    """
    options = options or DataGateOptions()
    now = DataSummary.of_dataset(dataset)
    reasons = list(_alone(Manifest.load(dataset), options))
    lost: list[ClassChange] = []
    moved: list[ClassChange] = []
    if before is not None:
        changes = compare(before, now, options.least_images)
        lost = [c for c in changes if c.before and not c.now]
        moved = [c for c in changes if c.now and abs(c.z) > options.max_z]
        if lost:
            reasons.append(f"{len(lost)} classes are lost: {_named(lost)}")
        if moved:
            reasons.append(
                f"the shares of {len(moved)} classes have moved by |z| > "
                f"{options.max_z:g} from the last accepted data: "
                f"{_named(moved)}"
            )
    images = before.images if before else None
    return Verdict(
        now.images, images, tuple(reasons), tuple(lost), tuple(moved)
    )


def compare(
    before: DataSummary, now: DataSummary, least_images: int = 10
) -> list[ClassChange]:
    """Compares the classes of earlier data by their shares of the images.

    Classes that came since are no change. With fewer images on both sides
    than `least_images` a class says nothing.

    Returns:
        The changes, those that moved most first.
    """
    wnids = [
        wnid
        for wnid, images in before.classes.items()
        if max(images, now.classes.get(wnid, 0)) >= least_images
    ]
    old = np.array([before.classes[w] for w in wnids], np.int64)
    new = np.array([now.classes.get(w, 0) for w in wnids], np.int64)
    z = two_proportion_z(old, before.images, new, now.images)
    changes = [
        ClassChange(w, before.names[w], int(a), int(b), float(c))
        for w, a, b, c in zip(wnids, old, new, z, strict=True)
    ]
    return sorted(changes, key=lambda c: (-abs(c.z), c.wnid))


def two_proportion_z(
    old: np.ndarray, old_images: int, new: np.ndarray, new_images: int
) -> np.ndarray:
    """Returns z of two shares with a pooled variance, float64 [classes].

    https://en.wikipedia.org/wiki/Two-proportion_Z-test

    Args:
        old, new: images with a class, int [classes].
        old_images, new_images: all images.

    Example:
        >>> two_proportion_z(np.array([50]), 100, np.array([70]), 100).round(3)
        array([2.887])
    """
    pooled = (old + new) / max(old_images + new_images, 1)
    per_image = 1 / max(old_images, 1) + 1 / max(new_images, 1)
    error = np.sqrt(pooled * (1 - pooled) * per_image)
    difference = new / max(new_images, 1) - old / max(old_images, 1)
    # A class that all images have, in both, has not moved.
    return np.divide(
        difference, error, out=np.zeros_like(difference), where=error > 0
    )


def _alone(manifest: Manifest, options: DataGateOptions) -> Iterator[str]:
    images = manifest.images
    rejected = images["rejected"] / max(images["in"], 1)
    if rejected > options.max_rejected:
        most = sorted(manifest.rejected.items(), key=lambda item: -item[1])
        why = ", ".join(f"{count} x {reason}" for reason, count in most)
        yield (
            f"{images['rejected']} of {images['in']} images are rejected "
            f"({rejected:.1%}; at most {options.max_rejected:.1%}): {why}"
        )
    for split in ("train", "validation"):
        if not manifest.splits.get(split, {}).get("images"):
            yield f"the split {split} has no images"
    outside = sum(
        split["images"]
        for name, split in manifest.splits.items()
        if name != "train"
    )
    kept = manifest.kept_splits
    across = kept.get("copies", 0) + kept.get("near_duplicates", 0)
    if across > options.max_across_splits * max(outside, 1):
        yield (
            f"{across} of {outside} images outside train have a copy or "
            "near-duplicate in another split (at most "
            f"{options.max_across_splits:.1%})"
        )


def _named(changes: list[ClassChange]) -> str:
    shown = [
        f"{c.name} ({c.before} -> {c.now}, z {c.z:+.1f})"
        for c in changes[:_NAMED]
    ]
    more = len(changes) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
