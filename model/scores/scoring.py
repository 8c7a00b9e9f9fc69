"""The scores of a training over a split, batch by batch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import (
    VOCABULARY,
    load_folder,
    load_vocabulary,
)
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from beam_jobs.files import tensorflow_files
from model.inputs import input_pipeline
from model.network.load_tagger import load_tagger
from model.network.options import BatchOptions
from model.network.tagger import Tagger

# A class that is no label of an image has no ledger there.
NO_LEDGER = -1


class Scored(NamedTuple):
    """What is known and what is said about a batch of images.

    Attributes:
        labels: [images, classes]; above 0 positive, 0 verified absent, below
            0 unknown.
        scores: probabilities [images, classes].
        ledger: codes of `records.ledger_codes` [images, classes], negative
            where there is no label; None where origins are not known.
    """

    labels: np.ndarray
    scores: np.ndarray
    ledger: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Split:
    """A training and the images to score.

    Attributes:
        batches: scores them, once.
    """

    tagger: Tagger
    vocabulary: Vocabulary
    hierarchy: Hierarchy
    batches: Iterable[Scored]


def open_split(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str,
    options: BatchOptions,
) -> Split:
    """Loads a training and opens a split of a data set.

    Args:
        dataset: data set folder with the classes of that training.
        options: how many at once, and whether a bar is shown.

    Raises:
        InputError: nothing trained there, no such data set or split, or the
            data set has other classes.
    """
    # What is quickly checked comes first: loading a tagger takes seconds.
    workdir, dataset = Path(workdir), os.fspath(dataset)
    tensorflow_files.register(dataset)
    shards = dataset_folder.shard_paths(dataset, split)
    tagger = load_tagger(workdir)
    vocabulary = _common_vocabulary(workdir, dataset)
    images = input_pipeline.make_eval_dataset(
        dataset,
        # Tells verified absent from unknown, however the training took them.
        dataclasses.replace(tagger.config.data, unknown="ignore"),
        classes=len(vocabulary),
        batch_size=options.batch_size,
        split=split,
        with_features=True,
    )
    bar = tqdm(
        score_batches(tagger, images),
        f"score {split}",
        -(-input_pipeline.count_records(shards) // options.batch_size),
        unit=" batches",
        mininterval=0.5,
        disable=None if options.progress else True,
    )
    _, hierarchy = load_folder(workdir)
    return Split(tagger, vocabulary, hierarchy, bar)


def score_batches(tagger: Tagger, batches: tf.data.Dataset) -> Iterator[Scored]:
    """Yields labels, scores and ledger, batch by batch.

    Args:
        batches: elements (images, targets, features).
    """

    # One graph, though the last batch is smaller.
    @tf.function(reduce_retracing=True)
    def score(images):
        return tf.sigmoid(tagger(images, training=False))

    for images, targets, features in batches:
        scores = score(images).numpy()
        yield Scored(targets.numpy(), scores, _ledger(features, scores.shape))


def _ledger(
    features: dict[str, tf.RaggedTensor], shape: tuple[int, ...]
) -> np.ndarray:
    """Returns int8 [images, classes] codes; those of no label are -1."""
    ids = features[records.LABEL_ID]
    ledger = np.full(shape, NO_LEDGER, np.int8)
    codes = features[records.LABEL_LEDGER].flat_values.numpy()
    ledger[ids.value_rowids().numpy(), ids.flat_values.numpy()] = codes
    return ledger


def _common_vocabulary(workdir: Path, dataset: str) -> Vocabulary:
    trained, given = load_vocabulary(workdir), load_vocabulary(dataset)
    if trained.fingerprint != given.fingerprint:
        raise InputError(
            f"{dataset} has other classes ({len(given)}) than {workdir} was "
            f"trained on ({len(trained)}); build the data set with "
            "`tagforest dataset --vocabulary "
            f"{workdir / VOCABULARY}`"
        )
    return trained
