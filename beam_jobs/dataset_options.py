"""What a data set is built from, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from beam_jobs import layout, storage
from beam_jobs.assemble_images import ImageChecks
from beam_jobs.build_vocabulary import VocabularyOptions
from beam_jobs.errors import InputError
from beam_jobs.sources import SourcePaths
from beam_jobs.splits import SplitOptions


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
        return storage.join(self.out, layout.WORK)
