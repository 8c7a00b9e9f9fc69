"""The scores of a training over a split, batch by batch."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

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
from beam_jobs.dataset.record_index import count_records
from beam_jobs.errors import InputError
from beam_jobs.files import storage, tensorflow_files
from model.checkpoint_files import weights_file
from model.inputs import input_pipeline
from model.inputs.train_counts import fingerprint
from model.network import devices
from model.network.load_tagger import load_tagger
from model.network.options import BatchOptions
from model.network.tagger import Tagger
from model.scores import trained_on as trained_on_
from model.scores.coherent import bottom_up, coherent
from model.scores.trained_on import Judge
from model.workers.team import ALONE, Team

# Of the options that workers may have otherwise.
_OWN: dict[str, Any] = {
    "hosts": None,
    "worker_index": None,
    "join_seconds": 1,
    "progress": False,
}
# A class that is no label of an image has no ledger there.
NO_LEDGER = -1


class Scored(NamedTuple):
    """What is known and what is said about a batch of images.

    Attributes:
        labels: [images, classes]; above 0 positive, 0 verified absent, below
            0 unknown.
        scores: probabilities [images, classes]; but for a softmax none is
            lower than one of a class below, see `model.scores.coherent`.
        ledger: codes of `records.ledger_codes` [images, classes], negative
            where there is no label; None where origins are not known.
        features: of the records without their images, see
            `records.feature_spec`; empty of bare scores.
    """

    labels: np.ndarray
    scores: np.ndarray
    ledger: np.ndarray | None = None
    features: Mapping[str, Any] = MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Split:
    """A training and the images to score.

    Attributes:
        batches: scores them, once.
        judge: what the training knows of them.
        trained_on: folder of the data set of that training, if found.
        places: int64 [images], of those that are scored in the split.
    """

    tagger: Tagger
    vocabulary: Vocabulary
    hierarchy: Hierarchy
    batches: Iterable[Scored]
    judge: Judge
    trained_on: str | None
    places: np.ndarray


def open_split(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str,
    options: BatchOptions,
    trained_on: str | None = None,
    team: Team = ALONE,
) -> Split:
    """Loads a training and opens a split of a data set.

    Images that it has been trained on are left out, where the data set that
    it was trained on is another one and still to be found.

    Args:
        dataset: data set folder with the classes of that training.
        options: how many at once, and whether a bar is shown.
        trained_on: where the data set of that training lies now; by default
            where it lay then.
        team: each worker scores a part of the batches that one would score.

    Raises:
        InputError: nothing trained there, no such data set or split, one of
            other classes, `trained_on` is another one, or all was trained on.
    """
    # What is quickly checked comes first: loading a tagger takes seconds.
    workdir, dataset = Path(workdir), os.fspath(dataset)
    tensorflow_files.register(dataset)
    dataset_folder.shard_paths(dataset, split)
    devices.take_own(team)
    tagger = load_tagger(workdir)
    vocabulary = common_vocabulary(workdir, dataset)
    judge, own = find_judge(workdir, dataset, split, trained_on)
    judge, left = looked_for(judge, own, workdir, dataset, team)
    # Whole batches: of others the network's digits could differ.
    size = options.batch_size
    batches = team.part_of(-(-len(left) // size))
    images = input_pipeline.make_eval_dataset(
        dataset,
        # Tells verified absent from unknown, whatever the training did.
        dataclasses.replace(tagger.config.data, unknown="ignore"),
        classes=len(vocabulary),
        batch_size=size,
        split=split,
        with_features=True,
        places=left[batches.start * size : batches.stop * size],
    )
    _, hierarchy = load_folder(workdir)
    scored = score_batches(tagger, images, hierarchy, team)
    shown = options.progress and team.is_chief
    bar = _bar(scored, f"score {split}{team.part}", len(batches), shown)
    return Split(tagger, vocabulary, hierarchy, bar, judge, own, left)


def find_judge(
    workdir: Path, dataset: str, split: str, trained_on: str | None
) -> tuple[Judge, str | None]:
    """Returns the judge, and where the run's own data set lies."""
    judge = trained_on_.judge(workdir, dataset, split)
    own = trained_on_.find_trained_on(workdir, trained_on)
    return judge, dataset if judge.is_own else own


def _bar(
    scored: Iterable[Scored], name: str, batches: int, shown: bool
) -> Iterable[Scored]:
    return tqdm(
        scored,
        name,
        batches,
        unit=" batches",
        mininterval=0.5,
        disable=None if shown else True,
    )


def plan(
    workdir: Path, dataset: str, split: str, options: BatchOptions
) -> dict[str, str]:
    """Returns digests of what all workers on a split must have alike."""
    shards = dataset_folder.shard_paths(dataset, split)
    sizes = [(os.path.basename(s), storage.size(s)) for s in shards]
    data = f"{fingerprint(dataset)}{sizes}"
    return {
        "weights": storage.sha256(weights_file(workdir))[:16],
        "data set": sha256(data.encode()).hexdigest()[:16],
        "options": f"{split}, {dataclasses.replace(options, **_OWN)}",
    }


def looked_for(
    judge: Judge,
    own: str | None,
    workdir: Path,
    dataset: str,
    team: Team,
) -> tuple[Judge, np.ndarray]:
    """Returns the judge, and the places of the images to score, int64."""
    split, looks = judge.split, not judge.is_own and own is not None

    def look():
        if looks:
            return {"seen": trained_on_.trained_images(own, dataset, split)}
        return {"seen": np.zeros(count_records(dataset, split), bool)}

    # All records are read for it, and not by each worker.
    with input_pipeline.as_input_errors(dataset, own or dataset):
        seen = team.from_chief(look)["seen"]
    if len(seen) and seen.all():
        raise InputError(
            f"{workdir} was trained on all {len(seen)} {split} images of "
            f"{dataset} (by id or bytes, of {own}): they judge nothing"
        )
    if looks:
        judge = dataclasses.replace(judge, left_out=int(seen.sum()))
    return judge, np.flatnonzero(~seen)


def score_batches(
    tagger: Tagger,
    batches: tf.data.Dataset,
    hierarchy: Hierarchy,
    team: Team = ALONE,
) -> Iterator[Scored]:
    """Yields labels, scores and ledger, batch by batch.

    Args:
        batches: elements (images, targets, features).
        hierarchy: of the tagger's classes.
        team: ends with it.
    """

    # One graph, though the last batch is smaller.
    @tf.function(reduce_retracing=True)
    def score(images):
        return tagger.scores(tagger(images, training=False))

    edges = bottom_up(hierarchy)
    for images, targets, features in batches:
        team.check()
        scores = score(images).numpy()
        if not tagger.one_class:
            scores = coherent(scores, edges)
        ledger = _ledger(features, scores.shape)
        yield Scored(targets.numpy(), scores, ledger, features)


def _ledger(
    features: dict[str, tf.RaggedTensor], shape: tuple[int, ...]
) -> np.ndarray:
    ids = features[records.LABEL_ID]
    codes = features[records.LABEL_LEDGER].flat_values.numpy()
    places = ids.value_rowids().numpy(), ids.flat_values.numpy()
    return dense_ledger(*places, codes, shape)


def dense_ledger(
    rows: np.ndarray, ids: np.ndarray, codes: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """Returns int16 [images, classes] codes; those of no label are -1.

    Args:
        rows, ids, codes: of each label its image, class and code, int.
        shape: images and classes.
    """
    # Codes fill a byte: an int8 would take some for no label.
    ledger = np.full(shape, NO_LEDGER, np.int16)
    ledger[rows, ids] = codes
    return ledger


def common_vocabulary(workdir: Path, dataset: str) -> Vocabulary:
    trained, given = load_vocabulary(workdir), load_vocabulary(dataset)
    if trained.fingerprint != given.fingerprint:
        raise InputError(
            f"{dataset} has other classes ({len(given)}) than {workdir} was "
            f"trained on ({len(trained)}); build the data set with "
            "`tagforest dataset --vocabulary "
            f"{workdir / VOCABULARY}`"
        )
    return trained
