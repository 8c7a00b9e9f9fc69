"""What a data set holds: images per class, labels per image, their origin.

The figures are the two of Tencent ML-Images (arXiv 1901.01703, section 2):
images of every class, sorted, and the histogram of labels per image.
"""

from __future__ import annotations

import enum
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beam_jobs import layout
from beam_jobs.errors import InputError
from beam_jobs.records import Rule, Source
from beam_jobs.vocabulary import Vocabulary

STATISTICS_FILE = "statistics.json"
IMAGES_PER_CLASS_PLOT = "images_per_class.png"
LABELS_PER_IMAGE_PLOT = "labels_per_image.png"

# "10,505 trainable classes": those with more than 100 training images
# (Tencent ML-Images, README).
TRAINABLE_ABOVE = 100

_COLOURS = ("#1b6ca8", "#e07a1f", "#3a8f5c")


class Statistics:
    """Counts over the images of one split. Mergeable, in any order.

    Args:
        classes: size of the vocabulary.

    Attributes:
        images: number of images.
        images_per_class: int64 [classes].
        labels_per_image: number of labels -> images with that many.
        labels_by_rule: `records.Rule` code -> labels.
        labels_by_source: `records.Source` code -> labels.

    Example:
        >>> train = Statistics(3).add([0, 2], rules=[1, 0], sources=[0, 0])
        >>> train.images_per_class.tolist(), train.mean_labels
        ([1, 0, 1], 2.0)
    """

    def __init__(self, classes: int):
        self.images = 0
        self.images_per_class = np.zeros(classes, np.int64)
        self.labels_per_image: Counter[int] = Counter()
        self.labels_by_rule: Counter[int] = Counter()
        self.labels_by_source: Counter[int] = Counter()

    def add(
        self,
        labels: Sequence[int],
        rules: Sequence[int],
        sources: Sequence[int],
    ) -> Statistics:
        """Counts one image, in place.

        Args:
            labels: its class indices, none twice.
            rules: for each label its `records.Rule`.
            sources: for each label its `records.Source`.

        Returns:
            self.
        """
        self.images += 1
        self.images_per_class[np.asarray(labels, np.int64)] += 1
        self.labels_per_image[len(labels)] += 1
        # Plain int keys: an enum or numpy key would pickle larger.
        self.labels_by_rule.update(int(r) for r in rules)
        self.labels_by_source.update(int(s) for s in sources)
        return self

    def merge(self, other: Statistics) -> Statistics:
        """Adds another's counts, in place, and returns self."""
        self.images += other.images
        self.images_per_class += other.images_per_class
        self.labels_per_image.update(other.labels_per_image)
        self.labels_by_rule.update(other.labels_by_rule)
        self.labels_by_source.update(other.labels_by_source)
        return self

    @property
    def labels(self) -> int:
        """Number of labels of all images."""
        return int(self.images_per_class.sum())

    @property
    def mean_labels(self) -> float:
        """Labels per image, 0 without images."""
        return self.labels / self.images if self.images else 0.0

    def classes_above(self, images: int) -> int:
        """Returns how many classes have more than this many images."""
        return int((self.images_per_class > images).sum())

    def to_json(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """Returns all counts; classes without an image are left out."""
        counts = self.images_per_class.tolist()
        return {
            "images": self.images,
            "labels": self.labels,
            "labels_per_image_mean": round(self.mean_labels, 6),
            "labels_per_image": {
                str(n): self.labels_per_image[n]
                for n in sorted(self.labels_per_image)
            },
            "labels_by_rule": _named(self.labels_by_rule, Rule),
            "labels_by_source": _named(self.labels_by_source, Source),
            "classes_with_images": self.classes_above(0),
            "images_per_class": {
                c.wnid: counts[c.index] for c in vocabulary if counts[c.index]
            },
        }


def to_json(
    splits: Mapping[str, Statistics],
    vocabulary: Vocabulary,
    rejected: Mapping[str, int] | None = None,
    *,
    trainable_above: int = TRAINABLE_ABOVE,
) -> dict[str, Any]:
    """Returns the content of `statistics.json`.

    Args:
        splits: split name -> its statistics.
        vocabulary: the classes, in the order of the counts.
        rejected: reason -> records rejected for it.
        trainable_above: a class is trainable with more training images.
    """
    train = splits.get(layout.TRAIN, Statistics(len(vocabulary)))
    rejected = rejected or {}
    return {
        "classes": len(vocabulary),
        "vocabulary": vocabulary.fingerprint,
        "images": sum(s.images for s in splits.values()),
        "rejected": {r: int(rejected[r]) for r in sorted(rejected)},
        "rejected_total": int(sum(rejected.values())),
        "trainable_above": trainable_above,
        "trainable_classes": train.classes_above(trainable_above),
        "splits": {s: splits[s].to_json(vocabulary) for s in sorted(splits)},
    }


def write(
    splits: Mapping[str, Statistics],
    folder: str | os.PathLike[str],
    vocabulary: Vocabulary,
    rejected: Mapping[str, int] | None = None,
    *,
    trainable_above: int = TRAINABLE_ABOVE,
) -> list[Path]:
    """Writes `statistics.json` and the two figures; returns their paths.

    Args: as `to_json`; `folder` is made if need be.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    content = to_json(
        splits, vocabulary, rejected, trainable_above=trainable_above
    )
    paths = [
        folder / STATISTICS_FILE,
        folder / IMAGES_PER_CLASS_PLOT,
        folder / LABELS_PER_IMAGE_PLOT,
    ]
    paths[0].write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    plot_images_per_class(splits, paths[1], trainable_above=trainable_above)
    plot_labels_per_image(splits, paths[2])
    return paths


def load_images_per_class(
    dataset: str | os.PathLike[str], split: str, vocabulary: Vocabulary
) -> np.ndarray:
    """Returns int64 [classes]: images of every class in a split.

    Raises:
        InputError: the data set has no statistics, none of this split, or
            they are of another vocabulary.
    """
    path = Path(dataset) / layout.STATISTICS / STATISTICS_FILE
    if not path.is_file():
        raise InputError(f"no such file: {path}; `tagforest dataset` writes it")
    content = json.loads(path.read_text(encoding="utf-8"))
    if content["vocabulary"] != vocabulary.fingerprint:
        raise InputError(
            f"{path} counts the classes of another vocabulary; "
            "build the data set anew with `tagforest dataset`"
        )
    if split not in content["splits"]:
        raise InputError(
            f"{path} has no split {split!r}; it has: "
            f"{', '.join(content['splits'])}"
        )
    counts = np.zeros(len(vocabulary), np.int64)
    for wnid, images in content["splits"][split]["images_per_class"].items():
        counts[vocabulary.index_of(wnid)] = images
    return counts


def plot_images_per_class(
    splits: Mapping[str, Statistics],
    path: str | os.PathLike[str],
    *,
    trainable_above: int = TRAINABLE_ABOVE,
) -> None:
    """Draws images of every class, largest first, on a log scale (PNG)."""
    figure, axes = _figure()
    for colour, (split, statistics) in zip(
        _COLOURS, _ordered(splits), strict=False
    ):
        counts = np.sort(statistics.images_per_class)[::-1]
        counts = counts[counts > 0]
        axes.plot(
            np.arange(1, len(counts) + 1),
            counts,
            color=colour,
            linewidth=2,
            marker="o" if len(counts) == 1 else None,
            label=f"{split}: {len(counts):,} classes with images",
        )
    axes.axhline(
        trainable_above,
        color="#999999",
        linewidth=1,
        linestyle=":",
        label=f"trainable: more than {trainable_above} training images",
    )
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.8)
    axes.set_title("Images per class")
    axes.set_xlabel("classes, by number of images")
    axes.set_ylabel("images (log scale)")
    axes.legend(frameon=False)
    _save(figure, path)


def plot_labels_per_image(
    splits: Mapping[str, Statistics], path: str | os.PathLike[str]
) -> None:
    """Draws the histogram of labels per image, all splits together (PNG)."""
    histogram: Counter[int] = Counter()
    for statistics in splits.values():
        histogram.update(statistics.labels_per_image)
    sizes = sorted(histogram)
    images = sum(histogram.values())
    figure, axes = _figure()
    axes.bar(sizes, [histogram[n] for n in sizes], width=0.9, color=_COLOURS[0])
    if images:
        mean = sum(n * histogram[n] for n in sizes) / images
        axes.axvline(mean, color=_COLOURS[1], label=f"mean {mean:.2f}")
        axes.legend(frameon=False)
    axes.set_title(f"Labels per image, {images:,} images")
    axes.set_xlabel("labels, ancestors included")
    axes.set_ylabel("images")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.get_major_locator().set_params(integer=True)
    _save(figure, path)


def _named(
    counts: Mapping[int, int], kind: type[enum.IntEnum]
) -> dict[str, int]:
    return {k.name.lower(): int(counts.get(int(k), 0)) for k in kind}


def _ordered(
    splits: Mapping[str, Statistics],
) -> list[tuple[str, Statistics]]:
    names = [s for s in layout.SPLITS if s in splits]
    return [(s, splits[s]) for s in names if splits[s].images]


def _figure() -> tuple[Any, Any]:
    # A Figure of its own, not pyplot: no display, no global state.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.grid(True, color="#e5e5e5")
    axes.set_axisbelow(True)
    return figure, axes


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    # Without the version of matplotlib: equal data, equal bytes.
    figure.savefig(path, dpi=120, metadata={"Software": None})
