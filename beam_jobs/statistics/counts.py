"""What a data set holds: images per class, labels per image, their origin.

Counts are kept by split and merged; they become `statistics.json`, the two
figures of Tencent ML-Images (arXiv 1901.01703, section 2) and one HTML page.
"""

from __future__ import annotations

import enum
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from beam_jobs.classes.vocabulary import Vocabulary
from beam_jobs.dataset import dataset_folder
from beam_jobs.errors import InputError
from beam_jobs.files import storage
from beam_jobs.labels import ragged_columns
from beam_jobs.labels.ledger import Rule, Source

STATISTICS_FILE = "statistics.json"

# "10,505 trainable classes": those with more than 100 training images
# (Tencent ML-Images, README).
TRAINABLE_ABOVE = 100
# The co-occurrence pairs that are listed, those that added most labels.
TOP_PAIRS = 20

# Confidences are summed as whole millionths: sums of floats would depend on
# the order in which the splits' parts are merged.
_CONFIDENCE_UNIT = 1_000_000


class Statistics:
    """Counts over the images of one split. Mergeable, in any order.

    Args:
        classes: size of the vocabulary.

    Attributes:
        images: number of images.
        class_rules: int64 [classes, rules], images that have a class by a
            `ledger.Rule`.
        rule_sources: int64 [rules, sources], labels.
        labels_per_image: number of labels -> images with that many.
        annotated_per_image: number of annotated labels -> images with that
            many: the tags before the label rules.
        added_by_pair: (class, class that co-occurs) -> labels it added.
        licenses: licence -> images; nothing is known of the others.

    Example:
        >>> labels = ragged_columns.Labels(
        ...     row_splits=np.array([0, 2]),
        ...     ids=np.array([0, 2]),
        ...     confidences=np.array([1.0, 0.8]),
        ...     rules=np.array([1, 0]),
        ...     parents=np.array([2, 2]),
        ...     sources=np.array([0, 0]),
        ... )
        >>> train = Statistics(3).add(labels)
        >>> train.images_per_class.tolist(), train.mean_labels
        ([1, 0, 1], 2.0)
        >>> train.labels_by_rule
        {<Rule.ANNOTATED: 0>: 1, <Rule.ANCESTOR: 1>: 1}
    """

    def __init__(self, classes: int):
        self.images = 0
        self.class_rules = np.zeros((classes, len(Rule)), np.int64)
        self.rule_sources = np.zeros((len(Rule), len(Source)), np.int64)
        self.labels_per_image: Counter[int] = Counter()
        self.annotated_per_image: Counter[int] = Counter()
        self.added_by_pair: Counter[tuple[int, int]] = Counter()
        self.licenses: Counter[str] = Counter()
        self._confidence = 0

    def add(
        self, labels: ragged_columns.Labels, licenses: Iterable[bytes] = ()
    ) -> Statistics:
        """Counts a batch of images, in place, and returns self.

        Args:
            labels: of each image, no class twice in a row.
            licenses: of each image, as of `add_licenses`.
        """
        self.add_licenses(licenses)
        splits = np.asarray(labels.row_splits, np.int64)
        values = slice(splits[0], splits[-1])
        ids = np.asarray(labels.ids[values], np.int64)
        rules = np.asarray(labels.rules[values], np.int64)
        sources = np.asarray(labels.sources[values], np.int64)
        self.images += len(labels)
        self.class_rules += _count_cells(ids, rules, self.class_rules.shape)
        self.rule_sources += _count_cells(
            rules, sources, self.rule_sources.shape
        )
        _count_sizes(self.labels_per_image, np.diff(splits))
        running = np.concatenate(([0], np.cumsum(rules == Rule.ANNOTATED)))
        annotated = np.diff(running[splits - splits[0]])
        _count_sizes(self.annotated_per_image, annotated)
        self._count_pairs(ids, labels.parents[values], rules)
        confidences = np.asarray(labels.confidences[values], np.float64)
        units = np.rint(confidences * _CONFIDENCE_UNIT)
        self._confidence += int(units.sum(dtype=np.int64))
        return self

    def add_licenses(self, licenses: Iterable[bytes]) -> None:
        """Counts licences of images, UTF-8; an empty one is not known."""
        for text, count in Counter(licenses).items():
            if text:
                self.licenses[text.decode()] += count

    def _count_pairs(
        self, ids: np.ndarray, parents: np.ndarray, rules: np.ndarray
    ) -> None:
        added = rules == Rule.CO_OCCURRENCE
        if not added.any():
            return
        classes = len(self.class_rules)
        keys = np.asarray(parents, np.int64)[added] * classes + ids[added]
        for key, count in zip(*_unique(keys), strict=True):
            self.added_by_pair[divmod(key, classes)] += count

    def merge(self, other: Statistics) -> Statistics:
        """Adds another's counts, in place, and returns self."""
        self.images += other.images
        self.class_rules += other.class_rules
        self.rule_sources += other.rule_sources
        self.labels_per_image.update(other.labels_per_image)
        self.annotated_per_image.update(other.annotated_per_image)
        self.added_by_pair.update(other.added_by_pair)
        self.licenses.update(other.licenses)
        self._confidence += other._confidence
        return self

    @property
    def images_per_class(self) -> np.ndarray:
        """int64 [classes]: images by class, whatever the rule."""
        return self.class_rules.sum(axis=1)

    @property
    def annotated_images_per_class(self) -> np.ndarray:
        """int64 [classes]: images whose annotation names the class."""
        return self.class_rules[:, Rule.ANNOTATED]

    @property
    def labels_by_rule(self) -> dict[Rule, int]:
        """Labels by rule; a rule without labels is left out."""
        counts = self.rule_sources.sum(axis=1).tolist()
        return {rule: counts[rule] for rule in Rule if counts[rule]}

    @property
    def labels_by_source(self) -> dict[Source, int]:
        """Labels by source; a source without labels is left out."""
        counts = self.rule_sources.sum(axis=0).tolist()
        return {s: counts[s] for s in Source if counts[s]}

    @property
    def labels(self) -> int:
        """Number of labels of all images."""
        return int(self.rule_sources.sum())

    @property
    def mean_labels(self) -> float:
        """Labels per image, 0 without images."""
        return self.labels / self.images if self.images else 0.0

    @property
    def mean_annotated(self) -> float:
        """Annotated labels per image, 0 without images."""
        annotated = int(self.rule_sources[Rule.ANNOTATED].sum())
        return annotated / self.images if self.images else 0.0

    @property
    def mean_confidence(self) -> float:
        """Confidence of a label, 0 without labels."""
        total = self.labels * _CONFIDENCE_UNIT
        return self._confidence / total if total else 0.0

    def classes_above(self, images: int) -> int:
        """Returns how many classes have more than this many images."""
        return int((self.images_per_class > images).sum())

    def top_pairs(self, count: int = TOP_PAIRS) -> list[tuple[int, int, int]]:
        """Returns (class, class added, labels added), most labels first."""
        pairs = [(i, j, n) for (i, j), n in self.added_by_pair.items()]
        return sorted(pairs, key=lambda p: (-p[2], p[0], p[1]))[:count]

    def to_dict(self) -> dict[str, Any]:
        """Returns all counts, ready for JSON; `from_dict` takes them back."""
        counted = np.flatnonzero(self.class_rules.any(axis=1))
        return {
            "classes": len(self.class_rules),
            "images": self.images,
            "class_index": counted.tolist(),
            "class_rules": self.class_rules[counted].tolist(),
            "rule_sources": self.rule_sources.tolist(),
            "labels_per_image": sorted(self.labels_per_image.items()),
            "annotated_per_image": sorted(self.annotated_per_image.items()),
            "added_by_pair": [
                [i, j, n] for (i, j), n in sorted(self.added_by_pair.items())
            ],
            "confidence": self._confidence,
            "licenses": sorted(self.licenses.items()),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Statistics:
        """Returns the statistics that `to_dict` described."""
        made = cls(content["classes"])
        made.images = content["images"]
        if content["class_index"]:
            counts = np.array(content["class_rules"])
            # Written before there was the last rule or source.
            made.class_rules[content["class_index"], : counts.shape[1]] = counts
        labels = np.array(content["rule_sources"])
        made.rule_sources[: labels.shape[0], : labels.shape[1]] = labels
        made.labels_per_image.update(_counts(content["labels_per_image"]))
        made.annotated_per_image.update(_counts(content["annotated_per_image"]))
        made.added_by_pair.update(
            {(i, j): n for i, j, n in content["added_by_pair"]}
        )
        made._confidence = content["confidence"]
        made.licenses.update(dict(content.get("licenses", ())))
        return made

    def to_json(self, vocabulary: Vocabulary) -> dict[str, Any]:
        """Returns the content of `statistics.json` on one split.

        Classes without an image are left out; so are licences if none is
        known.
        """
        licenses = {"images_per_license": dict(sorted(self.licenses.items()))}
        return {
            "images": self.images,
            **(licenses if self.licenses else {}),
            "labels": self.labels,
            "labels_per_image_mean": round(self.mean_labels, 6),
            "labels_per_image": _histogram(self.labels_per_image),
            "annotated_per_image_mean": round(self.mean_annotated, 6),
            "annotated_per_image": _histogram(self.annotated_per_image),
            "confidence_mean": round(self.mean_confidence, 6),
            "labels_by_rule": _named(self.rule_sources.sum(axis=1), Rule),
            "labels_by_source": _named(self.rule_sources.sum(axis=0), Source),
            "labels_by_rule_and_source": {
                rule.name.lower(): _named(self.rule_sources[rule], Source)
                for rule in Rule
            },
            "classes_with_images": self.classes_above(0),
            "images_per_class": _by_wnid(self.images_per_class, vocabulary),
            "annotated_images_per_class": _by_wnid(
                self.annotated_images_per_class, vocabulary
            ),
            "co_occurrence_pairs": [
                {
                    "class": vocabulary[i].wnid,
                    "adds": vocabulary[j].wnid,
                    "labels": n,
                }
                for i, j, n in self.top_pairs()
            ],
        }


def load_images_per_class(
    dataset: str | os.PathLike[str], split: str, vocabulary: Vocabulary
) -> np.ndarray:
    """Returns int64 [classes]: images of every class in a split.

    Raises:
        InputError: the data set has no statistics, none of this split, or
            they are of another vocabulary.
    """
    path = storage.join(dataset, dataset_folder.STATISTICS, STATISTICS_FILE)
    if not storage.exists(path):
        raise InputError(f"no such file: {path}; `tagforest dataset` writes it")
    content = json.loads(storage.read_text(path))
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


def _count_cells(
    rows: np.ndarray, cells: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    size = shape[0] * shape[1]
    counts = np.bincount(rows * shape[1] + cells, minlength=size)
    return counts.reshape(shape)


def _count_sizes(histogram: Counter[int], sizes: np.ndarray) -> None:
    for size, count in zip(*_unique(sizes), strict=True):
        histogram[size] += count


def _unique(values: np.ndarray) -> tuple[list[int], list[int]]:
    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()


def _counts(items: Iterable[Iterable[int]]) -> dict[int, int]:
    return {size: count for size, count in items}


def _histogram(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(size): counts[size] for size in sorted(counts)}


def _by_wnid(counts: np.ndarray, vocabulary: Vocabulary) -> dict[str, int]:
    found = np.flatnonzero(counts).tolist()
    return {vocabulary[i].wnid: int(counts[i]) for i in found}


def _named(counts: np.ndarray, kind: type[enum.IntEnum]) -> dict[str, int]:
    return {k.name.lower(): int(counts[k]) for k in kind}
