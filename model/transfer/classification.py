"""What a classifier is worth: one class an image.

Top-1 and top-5 are the shares of the images whose class is the best, or among
the five best; ten crops are averaged after the softmax.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from model import workdir as files
from model.config import DataConfig
from model.inputs.input_pipeline import as_input_errors, make_eval_dataset
from model.network.tagger import Tagger

PLOT = "classification.png"
TEN = 10
# Pairs of classes that are shown.
_CONFUSED = 20


@dataclass(frozen=True)
class Classification:
    """What was found.

    Attributes:
        images: that were judged.
        crops: of each.
        top_1, top_5: shares.
        confusion: int64 [classes, classes]; row the class, column what the
            image was taken for.
    """

    images: int
    crops: int
    top_1: float
    top_5: float
    confusion: np.ndarray

    @property
    def per_class(self) -> np.ndarray:
        """The share of each class' images that are right, NaN without one."""
        with np.errstate(invalid="ignore"):
            return self.confusion.diagonal() / self.confusion.sum(axis=1)

    @property
    def mean_per_class(self) -> float:
        """The mean of that over the classes, as Caltech's figures are."""
        return float(np.nanmean(self.per_class))


def judge(
    tagger: Tagger,
    dataset: str | os.PathLike[str],
    *,
    crops: int = 1,
    batch_size: int = 64,
    split: str = dataset_folder.VALIDATION,
) -> Classification:
    """Judges a classifier by a split.

    Args:
        crops: 1, the middle; or 10: the middle and the corners, and the same
            mirrored.

    Raises:
        InputError: no such split, or a damaged record.
    """
    size = tagger.config.data.image_size
    batches = make_eval_dataset(
        dataset,
        _seen(tagger.config.data, crops),
        classes=tagger.classes,
        batch_size=max(batch_size // crops, 1),
        split=split,
    )

    @tf.function(reduce_retracing=True)
    def score(images):
        parts = [*_crops(images, size)] if crops == TEN else [images]
        logits = [tagger(part, training=False) for part in parts]
        return tf.add_n([tagger.scores(z) for z in logits]) / len(parts)

    confusion = np.zeros((tagger.classes,) * 2, np.int64)
    hits = np.zeros(5, np.int64)
    with as_input_errors(dataset):
        for images, targets in batches:
            count(score(images).numpy(), targets.numpy(), confusion, hits)
    total = int(confusion.sum())
    return Classification(
        images=total,
        crops=crops,
        top_1=float(hits[0] / total),
        top_5=float(hits.sum() / total),
        confusion=confusion,
    )


def _seen(data: DataConfig, crops: int) -> DataConfig:
    """Returns what an image is resized to before it is cropped."""
    if crops != TEN:
        return data
    # What the middle crop is taken from, at its scale.
    size = max(round(data.image_size / data.crop_fraction), data.image_size)
    return replace(data, image_size=size, crop_fraction=1.0)


def count(
    scores: np.ndarray,
    targets: np.ndarray,
    confusion: np.ndarray,
    hits: np.ndarray,
) -> None:
    """Adds images to a confusion matrix, and the ranks of their classes.

    Of equal scores the lower class goes first.

    Args:
        scores, targets: [images, classes].
        confusion: int64 [classes, classes].
        hits: int64 [k], images whose class has each of the first k ranks.
    """
    truth = targets.argmax(axis=1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : len(hits)]
    np.add.at(confusion, (truth, best[:, 0]), 1)
    rows, ranks = np.nonzero(best == truth[:, None])
    hits += np.bincount(ranks, minlength=len(hits))


def _crops(images: tf.Tensor, size: int) -> Iterator[tf.Tensor]:
    """Yields the middle and the corners, and all of them mirrored."""
    rest = images.shape[1] - size
    middle = rest // 2
    places = [(middle, middle), (0, 0), (0, rest), (rest, 0), (rest, rest)]
    for top, left in places:
        crop = images[:, top : top + size, left : left + size]
        yield crop
        yield crop[:, :, ::-1]


def confused(
    found: Classification, vocabulary: Vocabulary
) -> list[tuple[str, str, int]]:
    """Returns the most frequent errors: class, taken for, images."""
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSED]
    rows, columns = np.unravel_index(order, wrong.shape)
    return [
        (vocabulary[r].name, vocabulary[c].name, int(wrong[r, c]))
        for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong[r, c]
    ]


def save(
    found: Classification, vocabulary: Vocabulary, folder: Path
) -> list[Path]:
    """Writes the figures and the plot; returns their paths."""
    per_class = {
        c.wnid: {"name": c.name, "top_1": share, "images": int(images)}
        for c, share, images in zip(
            vocabulary,
            np.nan_to_num(found.per_class, nan=-1).tolist(),
            found.confusion.sum(axis=1),
            strict=True,
        )
    }
    values = {
        "images": found.images,
        "crops": found.crops,
        "top_1": found.top_1,
        "top_5": found.top_5,
        "mean_per_class": found.mean_per_class,
        "per_class": per_class,
        "confused": confused(found, vocabulary),
    }
    files.write_json(folder / files.CLASSIFICATION, values)
    plot(found, vocabulary, folder / PLOT)
    return [folder / files.CLASSIFICATION, folder / PLOT]


def plot(found: Classification, vocabulary: Vocabulary, path: Path) -> None:
    """Draws the classes from worst to best, and the confusion of the worst."""
    from matplotlib.figure import Figure

    canvas = Figure((12, 6), layout="constrained", dpi=120)
    left, right = canvas.subplots(1, 2)
    shares = np.sort(found.per_class[~np.isnan(found.per_class)])
    left.bar(np.arange(len(shares)), shares, width=1.0, color="#1b6ca8")
    left.axhline(found.mean_per_class, color="#e07a1f")
    left.set_ylim(0, 1)
    left.set_xlabel("classes, from worst to best")
    left.set_title(
        f"top-1 {found.top_1:.3f}, top-5 {found.top_5:.3f}, mean per class "
        f"{found.mean_per_class:.3f}: {found.images} images"
    )
    _draw_confusion(right, found, vocabulary)
    canvas.savefig(path)


def _draw_confusion(
    axes: Any, found: Classification, vocabulary: Vocabulary
) -> None:
    """Draws the classes that are most often taken for each other."""
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    worst = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")
    chosen = np.sort(worst[:_CONFUSED])
    part = found.confusion[np.ix_(chosen, chosen)]
    axes.imshow(part, cmap="Blues")
    names = [vocabulary[i].display_name[:18] for i in chosen]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    for row, column in zip(*np.nonzero(part), strict=True):
        dark = part[row, column] > part.max() / 2
        axes.text(
            column,
            row,
            str(part[row, column]),
            ha="center",
            va="center",
            fontsize=6,
            color="white" if dark else "black",
        )
    axes.set_title("the classes most often taken for another; rows are right")
