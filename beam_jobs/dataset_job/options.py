"""What a data set is built from, and how."""

from __future__ import annotations

from collections.abc import (
    Mapping,
)
from dataclasses import asdict, dataclass, field
from typing import Any

from beam_jobs.classes.choose_classes import VocabularyOptions
from beam_jobs.dataset import dataset_folder
from beam_jobs.dataset.dataset_folder import (
    SPLITS,
    TRAIN,
)
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.images.check_image import (
    ImageLimits,
)
from beam_jobs.images.near_duplicates import MAX_DISTANCE
from beam_jobs.sources.find_sources import SourcePaths


@dataclass(frozen=True)
class LabelOptions:
    """How annotations become labels.

    Attributes:
        min_confidence: least confidence of a positive, over 0 to 1.
        cooccurrence: pairs that `tagforest cooccurrence` found.
    """

    min_confidence: float = 0.7
    cooccurrence: str | None = None

    def __post_init__(self):
        if not 0 < self.min_confidence <= 1:
            raise InputError(
                "min_confidence must be over 0 and at most 1; received: "
                f"{self.min_confidence}"
            )


@dataclass(frozen=True)
class ImageChecks:
    """How images are read.

    Attributes:
        limits: which are accepted.
        short_side: larger images are resized to this, pixels; None for none.
        labels_only: images are not read at all.
    """

    limits: ImageLimits = field(default_factory=ImageLimits)
    short_side: int | None = None
    labels_only: bool = False

    def __post_init__(self):
        least = self.limits.min_side
        if self.short_side is not None and self.short_side < least:
            raise InputError(
                f"short_side must be at least {least} pixels; received: "
                f"{self.short_side}"
            )


DEFAULT_FRACTIONS = {"train": 0.9, "validation": 0.1}


@dataclass(frozen=True)
class SplitOptions:
    """How images are split.

    Attributes:
        fractions: by split, adding up to 1; see `parse_fractions`.
        seed: another one draws other splits.
        validation_per_class: most validation images of an annotated class, 5
            in the paper (section 2); 0 for no cap.
        validation_max: most validation images in all, 50,000 in the paper; 0
            for no cap.
        near_duplicate_distance: bits that perceptual hashes of one picture
            may differ in; -1 keeps only exact copies together.
    """

    fractions: Mapping[str, float] = field(
        default_factory=lambda: dict(DEFAULT_FRACTIONS)
    )
    seed: int = 0
    validation_per_class: int = 5
    validation_max: int = 50_000
    near_duplicate_distance: int = 6

    def __post_init__(self) -> None:
        if not -1 <= self.near_duplicate_distance <= MAX_DISTANCE:
            raise InputError(
                f"the near-duplicate distance must be -1 to {MAX_DISTANCE} "
                f"bits; received: {self.near_duplicate_distance}"
            )
        if self.validation_per_class < 0 or self.validation_max < 0:
            raise InputError(
                "the caps of the validation split must be 0 (none) or more; "
                f"received: {self.validation_per_class} a class, "
                f"{self.validation_max} in all"
            )


@dataclass(frozen=True)
class DatasetOptions:
    """What to build.

    Attributes:
        out: folder of the data set.
        sources: raw annotations and pictures.
        vocabulary: which classes.
        labels: how annotations become labels.
        images: how images are read.
        splits: train, validation, calibration.
        images_per_shard: at most, on average; the count of shards follows
            from it. None for 4,096, or 65,536 records without images.
        overwrite: replace a data set made from other sources or options.
    """

    out: str
    sources: SourcePaths
    vocabulary: VocabularyOptions = field(default_factory=VocabularyOptions)
    labels: LabelOptions = field(default_factory=LabelOptions)
    images: ImageChecks = field(default_factory=ImageChecks)
    splits: SplitOptions = field(default_factory=SplitOptions)
    images_per_shard: int | None = None
    overwrite: bool = False

    def __post_init__(self):
        if self.images_per_shard is not None and self.images_per_shard < 1:
            raise InputError(
                "images_per_shard must be at least 1; received: "
                f"{self.images_per_shard}"
            )

    def described(self) -> dict[str, Any]:
        """Returns what decides the content, for the manifest."""
        values = asdict(self)
        return {
            k: v for k, v in values.items() if k not in ("out", "overwrite")
        }

    @property
    def work(self) -> str:
        """Folder for files between stages; removed when the job is done."""
        return storage.join(self.out, dataset_folder.WORK)


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
