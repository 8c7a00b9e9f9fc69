"""The scores of a training over a split, batch by batch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
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
from model.scores import trained_on as trained_on_
from model.scores.trained_on import Judge

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
        judge: what the training knows of them.
        trained_on: folder of the data set of that training, if found.
    """

    tagger: Tagger
    vocabulary: Vocabulary
    hierarchy: Hierarchy
    batches: Iterable[Scored]
    judge: Judge
    trained_on: str | None


def open_split(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str,
    options: BatchOptions,
    trained_on: str | None = None,
) -> Split:
    """Loads a training and opens a split of a data set.

    Of another data set than it was trained on the images are left out that
    it has been trained on, where its own data set is still to be found.

    Args:
        dataset: data set folder with the classes of that training.
        options: how many at once, and whether a bar is shown.
        trained_on: where the data set of that training lies now; by default
            where it lay then.

    Raises:
        InputError: nothing trained there, no such data set or split, the
            data set has other classes, `trained_on` is another one, or every
            image has been trained on.
    """
    # What is quickly checked comes first: loading a tagger takes seconds.
    workdir, dataset = Path(workdir), os.fspath(dataset)
    tensorflow_files.register(dataset)
    shards = dataset_folder.shard_paths(dataset, split)
    tagger = load_tagger(workdir)
    vocabulary = _common_vocabulary(workdir, dataset)
    judge = trained_on_.judge(workdir, dataset, split)
    own = trained_on_.find_trained_on(workdir, trained_on)
    own = dataset if judge.is_own else own
    judge, seen = _looked_for(judge, own, workdir, dataset)
    images = input_pipeline.make_eval_dataset(
        dataset,
        # Tells verified absent from unknown, however the training took them.
        dataclasses.replace(tagger.config.data, unknown="ignore"),
        classes=len(vocabulary),
        batch_size=options.batch_size,
        split=split,
        with_features=True,
        choose=None if seen is None else _without(seen),
    )
    with input_pipeline.as_input_errors(dataset):
        images_there = input_pipeline.count_records(shards)
    left = images_there - (judge.left_out or 0)
    scored = score_batches(tagger, images)
    bar = _bar(scored, split, -(-left // options.batch_size), options)
    _, hierarchy = load_folder(workdir)
    return Split(tagger, vocabulary, hierarchy, bar, judge, own)


def _bar(scored, split: str, batches: int, options: BatchOptions) -> tqdm:
    return tqdm(
        scored,
        f"score {split}",
        batches,
        unit=" batches",
        mininterval=0.5,
        disable=None if options.progress else True,
    )


def _looked_for(
    judge: Judge, own: str | None, workdir: Path, dataset: str
) -> tuple[Judge, np.ndarray | None]:
    """Returns the judge; which images were trained on, bool, if looked for."""
    split = judge.split
    if judge.is_own or own is None:
        return judge, None
    with input_pipeline.as_input_errors(dataset, own):
        seen = trained_on_.trained_images(own, dataset, split)
    if len(seen) and seen.all():
        raise InputError(
            f"{workdir} was trained on all {len(seen)} {split} images of "
            f"{dataset} (by id or bytes, of {own}): they judge nothing"
        )
    return dataclasses.replace(judge, left_out=int(seen.sum())), seen


def _without(seen: np.ndarray) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns what leaves out the records of these places."""
    is_seen = tf.constant(seen)

    def choose(rows):
        places = rows.enumerate().filter(lambda i, _: ~is_seen[i])
        return places.map(lambda _, row: row)

    return choose


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
