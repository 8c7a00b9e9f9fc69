"""A trained tagger against a split, the baseline and the ceiling."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from beam_jobs import layout, object_stores, storage
from beam_jobs.errors import InputError
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.statistics import load_images_per_class
from beam_jobs.vocabulary import Vocabulary
from model import input_pipeline, report
from model.baselines import ceiling_at_k, most_frequent_tags
from model.metrics import (
    F1AtK,
    MacroAveragePrecision,
    PrecisionAtK,
    RecallAtK,
)
from model.report import Comparison, Evaluation
from model.tagger import Tagger, load_tagger

KS = (5, 10)


def evaluate(
    workdir: str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    split: str = layout.VALIDATION,
    *,
    batch_size: int = 64,
    progress: bool = True,
) -> Evaluation:
    """Evaluates a training run and writes `<workdir>/evaluation/<split>.*`.

    Every class that is not among an image's labels counts as wrong, unknown
    ones too: the figures are those of observed labels, as the paper's.

    Args:
        workdir: of a training.
        dataset: data set folder with the classes of that training.
        split: which images.
        batch_size: images scored at once.
        progress: shows a bar.

    Raises:
        InputError: nothing trained there, no such data set or split, or the
            data set has other classes.
    """
    workdir, dataset = Path(workdir), os.fspath(dataset)
    object_stores.register(dataset)
    shards = layout.shard_paths(dataset, split)
    tagger = load_tagger(workdir)
    vocabulary = _common_vocabulary(workdir, dataset)
    images = input_pipeline.make_eval_dataset(
        dataset,
        tagger.config.data,
        classes=len(vocabulary),
        batch_size=batch_size,
        split=split,
    )
    bar = tqdm(
        score_batches(tagger, images),
        f"evaluate {split}",
        -(-input_pipeline.count_records(shards) // batch_size),
        unit=" batches",
        mininterval=0.5,
        disable=None if progress else True,
    )
    evaluation = evaluate_scores(
        bar,
        Hierarchy.load(workdir / layout.HIERARCHY, vocabulary),
        _train_counts(tagger, dataset, vocabulary),
        split,
    )
    report.write(evaluation, workdir / report.FOLDER, vocabulary)
    return evaluation


def score_batches(
    tagger: Tagger, batches: tf.data.Dataset
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields (targets, scores), both [images, classes], batch by batch.

    Args:
        tagger: gives logits.
        batches: elements that start with (images, targets).
    """

    @tf.function(reduce_retracing=True)
    def score(images):
        return tf.sigmoid(tagger(images, training=False))

    for images, targets, *_ in batches:
        yield targets, score(images)


def evaluate_scores(
    batches: Iterable[tuple[Any, Any]],
    hierarchy: Hierarchy,
    train_counts: np.ndarray,
    split: str = "validation",
) -> Evaluation:
    """Compares scores with labels, batch by batch.

    Memory does not grow with the number of images, but for two numbers of
    each.

    Args:
        batches: (labels, scores), both [images, classes]; a label above 0
            is a positive, scores are probabilities.
        hierarchy: says which classes are leaves, and how deep all are.
        train_counts: training images of every class [classes], the
            baseline's whole knowledge.
        split: the name to report.

    Raises:
        InputError: no batches, or not of this number of classes.
    """
    evaluator = _Evaluator(hierarchy, train_counts)
    for labels, scores in batches:
        evaluator.update(labels, scores)
    return evaluator.result(split)


class _Evaluator:
    """Metrics of the model and of the baseline over the same batches."""

    def __init__(self, hierarchy: Hierarchy, train_counts: np.ndarray):
        self.hierarchy = hierarchy
        self.baseline_scores = most_frequent_tags(train_counts)
        self.model = _metrics_at_k(hierarchy.is_leaf)
        self.baseline = _metrics_at_k(hierarchy.is_leaf)
        self.precision = MacroAveragePrecision(len(hierarchy))
        self.label_counts: list[np.ndarray] = []
        self.leaf_counts: list[np.ndarray] = []

    def update(self, labels: Any, scores: Any) -> None:
        """Adds a batch, both [images, classes]."""
        labels = ops.convert_to_numpy(labels)
        _check_shapes(labels, scores, len(self.hierarchy))
        baseline_scores = np.broadcast_to(self.baseline_scores, labels.shape)
        for metric in self.model:
            metric.update_state(labels, scores)
        for metric in self.baseline:
            metric.update_state(labels, baseline_scores)
        self.precision.update_state(labels, scores)
        positive = labels > 0
        self.label_counts.append(positive.sum(axis=-1))
        self.leaf_counts.append(
            positive[:, self.hierarchy.is_leaf].sum(axis=-1)
        )

    def result(self, split: str) -> Evaluation:
        """Returns what all batches together give."""
        if not self.label_counts:
            raise InputError(f"split {split!r} has no images to evaluate")
        label_counts = np.concatenate(self.label_counts)
        ceilings = _ceilings(label_counts, np.concatenate(self.leaf_counts))
        figures = {
            model.name: Comparison(
                float(model.result()),
                float(baseline.result()),
                ceilings[model.name],
            )
            for model, baseline in zip(self.model, self.baseline, strict=True)
        }
        of_classes, positives = map(
            ops.convert_to_numpy, self.precision.of_classes()
        )
        figures[self.precision.name] = _compare_precision(
            of_classes, positives, len(label_counts)
        )
        return Evaluation(
            split=split,
            images=len(label_counts),
            labels_per_image=float(label_counts.mean()),
            figures=figures,
            average_precision=of_classes,
            positives=positives.astype(np.int64),
            depth=self.hierarchy.depth,
        )


def _metrics_at_k(is_leaf: np.ndarray) -> list[Any]:
    plain = [kind(k) for k in KS for kind in (PrecisionAtK, RecallAtK, F1AtK)]
    # Roots are labels of nearly every image and lift every figure at 5; the
    # leaves say whether the tagger knows one thing from another.
    return [
        *plain,
        F1AtK(5, is_leaf, name="leaf_f1_at_5"),
        PrecisionAtK(1, is_leaf, name="best_leaf_right"),
    ]


def _ceilings(
    label_counts: np.ndarray, leaf_counts: np.ndarray
) -> dict[str, float]:
    ceilings = {
        "leaf_f1_at_5": ceiling_at_k(leaf_counts, 5).f1,
        "best_leaf_right": ceiling_at_k(leaf_counts, 1).precision,
    }
    for k in KS:
        best = ceiling_at_k(label_counts, k)
        ceilings[f"precision_at_{k}"] = best.precision
        ceilings[f"recall_at_{k}"] = best.recall
        ceilings[f"f1_at_{k}"] = best.f1
    return ceilings


def _compare_precision(
    of_classes: np.ndarray, positives: np.ndarray, images: int
) -> Comparison:
    have = positives > 0
    if not have.any():
        return Comparison(0.0, 0.0, 0.0)
    # A constant score ranks no image above another: its average precision
    # is the share of images that have the class.
    return Comparison(
        model=float(of_classes[have].mean()),
        baseline=float((positives[have] / images).mean()),
        ceiling=1.0,
    )


def _check_shapes(labels: np.ndarray, scores: Any, classes: int) -> None:
    wanted = (labels.shape[0], classes)
    if labels.shape != wanted or tuple(scores.shape) != wanted:
        raise InputError(
            f"labels and scores must be [images, {classes}]; received: "
            f"labels {list(labels.shape)}, scores {list(scores.shape)}"
        )


def _common_vocabulary(workdir: Path, dataset: str) -> Vocabulary:
    trained = Vocabulary.load(workdir / layout.VOCABULARY)
    given = Vocabulary.load(storage.join(dataset, layout.VOCABULARY))
    if trained.fingerprint != given.fingerprint:
        raise InputError(
            f"{dataset} has other classes ({len(given)}) than {workdir} was "
            f"trained on ({len(trained)}); build the data set with "
            f"`tagforest dataset --vocabulary {workdir / layout.VOCABULARY}`"
        )
    return trained


def _train_counts(
    tagger: Tagger, dataset: str, vocabulary: Vocabulary
) -> np.ndarray:
    least = tagger.config.data.min_confidence
    if least > 0:
        # The statistics count all labels, these are some of them.
        shards = layout.shard_paths(dataset, layout.TRAIN)
        return input_pipeline.label_counts(shards, len(vocabulary), least)
    return load_images_per_class(dataset, layout.TRAIN, vocabulary)
