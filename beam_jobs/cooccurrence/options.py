"""What `tagforest cooccurrence` is asked to do. Imports no framework."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import get_args

from beam_jobs.cooccurrence.find_pairs import Reading
from beam_jobs.errors import InputError
from beam_jobs.files.checks import check_output_folder


@dataclass(frozen=True)
class ModelOptions:
    """How a SavedModel is called. The defaults are those of our exports.

    Attributes:
        path: folder of the SavedModel.
        signature: its one input is string [N].
        scores: output, float [N, classes], or [N, K] beside `wnids`.
        wnids: output, string [N, K]: the class of each score. A signature
            without it gives scores of all classes.
        valid: output, bool [N]: whether an image could be read. Optional.
        vocabulary: `vocabulary.tsv` of the model, if its classes are not
            those of the data set.
        examples: feed the records themselves, not their image bytes.
        batch_size: images a call.
    """

    path: str
    signature: str = "scores"
    scores: str = "scores"
    wnids: str = "wnids"
    valid: str = "valid"
    vocabulary: str | None = None
    examples: bool = False
    batch_size: int = 32

    def __post_init__(self):
        if self.batch_size < 1:
            raise InputError(
                f"batch_size must be at least 1; received: {self.batch_size}"
            )


@dataclass(frozen=True)
class CooccurrenceOptions:
    """What to count, and which pairs to keep.

    Attributes:
        out: file of the pairs.
        scores: files of predictions (see `scores`).
        model: a model to run over the records instead.
        dataset: a data set: its classes, its labels, its images.
        split: which of its records.
        vocabulary: without a data set, `vocabulary.tsv` or the published
            dictionary.
        predictions_only: leave the data set's labels out.
        posterior: a class is positive with a higher score (paper: 0.95).
        min_co: CO(i, j) must be higher (paper: 0.5).
        reading: see `cooccurrence.find_pairs`.
        min_images: least images of the first class of a pair.
    """

    out: str
    scores: tuple[str, ...] = ()
    model: ModelOptions | None = None
    dataset: str | None = None
    split: str = "train"
    vocabulary: str | None = None
    predictions_only: bool = False
    posterior: float = 0.95
    min_co: float = 0.5
    reading: Reading = "unrelated"
    min_images: int = 1

    def __post_init__(self):
        if bool(self.scores) == bool(self.model):
            raise InputError(
                "name what a model predicts, either with --scores FILE or "
                f"with --model SAVEDMODEL; received: "
                f"{'both' if self.model else 'neither'}"
            )
        if self.model and not self.dataset:
            raise InputError(
                "a model needs images: name a data set with --dataset"
            )
        if bool(self.dataset) == bool(self.vocabulary):
            raise InputError(
                "name the classes, either with --dataset DATASET or with "
                "--vocabulary FILE; received: "
                f"{'both' if self.dataset else 'neither'}"
            )
        self._check_bounds()
        self._check_out()

    def _check_bounds(self) -> None:
        for name, value in (
            ("posterior", self.posterior),
            ("min_co", self.min_co),
        ):
            if not 0 <= value < 1:
                raise InputError(
                    f"{name} must be 0 to under 1; received: {value}"
                )
        if self.reading not in get_args(Reading):
            raise InputError(
                f"reading must be {' or '.join(get_args(Reading))}; "
                f"received: {self.reading!r}"
            )
        if self.min_images < 1:
            raise InputError(
                f"min_images must be at least 1; received: {self.min_images}"
            )

    def _check_out(self) -> None:
        check_output_folder(os.path.dirname(self.out) or ".")
        if os.path.isdir(self.out):
            raise InputError(
                f"{self.out} is a folder; name a file, as "
                f"{os.path.join(self.out, 'pairs.tsv')}"
            )
