"""A few held-out images, always the same, and what a tagger says of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_folder
from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder, records
from beam_jobs.errors import InputError
from model.config import DataConfig
from model.inputs import input_pipeline
from model.network.tagger import Tagger

_BATCH = 32


class Judged(NamedTuple):
    """A batch of images and what is said of them.

    Attributes:
        ids: of the images.
        images: as the network sees them.
        targets: int8 [images, classes]; above 0 is a positive.
        scores: probabilities [images, classes].
        features: embeddings [images, filters].
    """

    ids: list[str]
    images: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    features: np.ndarray


@dataclass(frozen=True)
class Classes:
    """The classes and their hierarchy.

    Example:
        >>> from beam_jobs.classes.vocabulary import TagClass
        >>> names = [TagClass(0, "n00000001", "animal")]
        >>> names += [TagClass(1, "n00000002", "dog, domestic dog")]
        >>> classes = Classes(Vocabulary(names), Hierarchy([(), (0,)]))
        >>> classes.most_specific([0, 1])
        [1]
        >>> classes.name(1)
        'dog'
    """

    vocabulary: Vocabulary
    hierarchy: Hierarchy

    @classmethod
    def load(cls, workdir: Path) -> Classes:
        """Reads those of a training's working directory."""
        return cls(*load_folder(workdir))

    def most_specific(self, labels) -> list[int]:
        """Returns the labels above no other label, deepest first."""
        above = {a for i in labels for a in self.hierarchy.ancestors(i)}
        depth = self.hierarchy.depth
        own = [int(i) for i in labels if i not in above]
        return sorted(own, key=lambda i: (-depth[i], i))

    def best_leaf(self, scores: np.ndarray) -> int:
        """Returns the best-scored class without children."""
        return int(np.argmax(np.where(self.hierarchy.is_leaf, scores, -1.0)))

    def name(self, index: int) -> str:
        return self.vocabulary[index].display_name


def held_out(
    dataset: str | os.PathLike[str],
    config: DataConfig,
    classes: int,
    count: int,
) -> tf.data.Dataset:
    """Returns the first images of the validation split, or of the training's.

    Args:
        classes: width of the targets.

    Returns:
        Batches (images, targets, features), `count` images in all.
    """
    split = dataset_folder.VALIDATION
    try:
        dataset_folder.shard_paths(dataset, split)
    except InputError:
        split = dataset_folder.TRAIN
    batches = input_pipeline.make_eval_dataset(
        dataset,
        config,
        classes=classes,
        batch_size=min(count, _BATCH),
        split=split,
        with_features=True,
    )
    return batches.take(-(-count // _BATCH))


class Judge:
    """Lets a tagger judge images, with one compiled function."""

    def __init__(self, tagger: Tagger):
        self.tagger = tagger

        @tf.function(reduce_retracing=True)
        def judge(images):
            features = tagger.embed(images, training=False)
            scores = tagger.scores(tagger.head(features))
            return tf.cast(features, tf.float32), scores

        self._judge = judge

    def judge(self, batches: tf.data.Dataset, count: int) -> Iterator[Judged]:
        """Yields the first images of the batches, judged."""
        for images, targets, parsed in batches:
            with self.tagger.averaged():
                features, scores = self._judge(images)
            ids = parsed[records.IMAGE_ID].numpy()
            yield Judged(
                [i.decode() for i in np.ravel(ids)[:count]],
                images.numpy()[:count],
                targets.numpy()[:count],
                scores.numpy()[:count],
                features.numpy()[:count],
            )
            count -= len(ids)
            if count <= 0:
                return


def pixels(images: np.ndarray) -> np.ndarray:
    """Returns uint8 pixels of network inputs in [-1, 1]."""
    return np.round((images + 1.0) * 127.5).clip(0, 255).astype(np.uint8)
