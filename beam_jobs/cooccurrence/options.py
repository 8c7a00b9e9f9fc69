"""What `tagforest cooccurrence` is asked to do. Imports no framework."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from beam_jobs.errors import InputError
from beam_jobs.files.checks import check_output_folder
from beam_jobs.option_fields import Option, Options

Reading = Literal["unrelated", "not_ancestor"]


@dataclass(frozen=True)
class ModelOptions(Options):
    """How a SavedModel is called. The defaults are those of our exports.

    Attributes:
        path: folder of the SavedModel.
        signature: its one input is string [N].
        scores: output, float [N, classes], or [N, K] beside `wnids`.
        wnids: output, string [N, K]: the class of each score.
        valid: output, bool [N]: whether an image could be read. Optional.
    """

    path: Annotated[
        str,
        Option(
            "SavedModel to run over the records instead.",
            flag="--model",
            path=True,
        ),
    ]
    signature: Annotated[str, Option("Signature of the model.")] = "scores"
    scores: Annotated[
        str, Option("Its output with the scores.", flag="--scores-output")
    ] = "scores"
    wnids: Annotated[
        str,
        Option(
            "Its output with the WordNet id of each score; if there is none, "
            "scores are of all classes.",
            flag="--wnids-output",
        ),
    ] = "wnids"
    valid: str = "valid"
    vocabulary: Annotated[
        str | None,
        Option(
            "vocabulary.tsv of the model, if it knows other classes than "
            "the data set.",
            flag="--model-vocabulary",
            path=True,
        ),
    ] = None
    examples: Annotated[
        bool,
        Option(
            "Feed tf.Example records to the signature, not image bytes.",
            flag="--feed-records",
        ),
    ] = False
    batch_size: Annotated[int, Option("Images a call.", min=1)] = 32


@dataclass(frozen=True)
class CooccurrenceOptions(Options):
    """What to count, and which pairs to keep.

    The paper's posterior is 0.95, its least CO 0.5. For `reading` see
    `cooccurrence.find_pairs`, for `scores` `cooccurrence.score_files`.
    """

    out: Annotated[str, Option("File of the pairs, as pairs.tsv.", path=True)]
    scores: Annotated[
        tuple[str, ...],
        Option(
            "Predictions: JSON lines {image_id, scores: {wnid: score}}, or "
            "CSV or TSV with the columns image_id, wnid, score.",
            path=True,
        ),
    ] = ()
    model: ModelOptions | None = None
    dataset: Annotated[
        str | None,
        Option("Data set: its classes, labels and images.", path=True),
    ] = None
    split: Annotated[str, Option("Its records to count.")] = "train"
    vocabulary: Annotated[
        str | None,
        Option(
            "Without a data set: vocabulary.tsv or the published dictionary.",
            path=True,
        ),
    ] = None
    predictions_only: Annotated[
        bool,
        Option(
            "Leave the labels of the data set out of the counts.",
            flag="--predictions-only",
        ),
    ] = False
    posterior: Annotated[
        float,
        Option("A class is positive with a higher score.", min=0, under=1),
    ] = 0.95
    min_co: Annotated[
        float,
        Option("CO(i, j) = n_ij / n_i must be higher.", min=0, under=1),
    ] = 0.5
    reading: Annotated[
        Reading,
        Option(
            "unrelated: no is-a path between i and j. not_ancestor: j is no "
            "ancestor of i, so a class may add its own subclasses.",
            choices=get_args(Reading),
        ),
    ] = "unrelated"
    min_images: Annotated[int, Option("Least images with class i.", min=1)] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
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
        self._check_out()

    def _check_out(self) -> None:
        check_output_folder(os.path.dirname(self.out) or ".")
        if os.path.isdir(self.out):
            raise InputError(
                f"{self.out} is a folder; name a file, as "
                f"{os.path.join(self.out, 'pairs.tsv')}"
            )
