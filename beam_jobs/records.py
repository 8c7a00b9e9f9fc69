"""THE feature spec of the TFRecords: written, trained on, served, checked.

A record is a `tf.train.Example`. Labels are sparse and keep their ledger: for
each label the rule that gave it, the annotation that it came from and the
source of that annotation, all as parallel lists sorted by class index.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

IMAGE_ENCODED = "image/encoded"
IMAGE_ID = "image/id"
IMAGE_HEIGHT = "image/height"
IMAGE_WIDTH = "image/width"
LABEL_ID = "label/id"
LABEL_CONFIDENCE = "label/confidence"
LABEL_RULE = "label/rule"
LABEL_FROM = "label/from"
LABEL_SOURCE = "label/source"
ABSENT_ID = "absent/id"


class Rule(enum.IntEnum):
    """Why a record has a label (code in `label/rule`)."""

    ANNOTATED = 0
    ANCESTOR = 1


class Source(enum.IntEnum):
    """Where the annotation behind a label comes from (`label/source`)."""

    IMAGENET = 0
    OPEN_IMAGES_HUMAN = 1
    OPEN_IMAGES_MACHINE = 2


@dataclass(frozen=True, slots=True)
class Label:
    """One positive label of an image.

    Attributes:
        index: class index.
        confidence: 0 < confidence <= 1.
        rule: why it is there.
        derived_from: class index of the annotation behind it; the label's
            own index if it was annotated.
        source: where that annotation comes from.
    """

    index: int
    confidence: float
    rule: Rule
    derived_from: int
    source: Source


@dataclass(frozen=True)
class Record:
    """One image with its labels.

    Attributes:
        image_id: unique in the data set, `<source>/<id>`.
        encoded: image file bytes, JPEG (RGB or grayscale).
        height, width: pixels.
        labels: positives, sorted by class index.
        absent: class indices verified absent, ascending, descendants
            included. All classes in neither list are unknown.
    """

    image_id: str
    encoded: bytes
    height: int
    width: int
    labels: Sequence[Label] = field(default_factory=tuple)
    absent: Sequence[int] = field(default_factory=tuple)


def to_example(record: Record) -> bytes:
    """Returns the serialized `tf.train.Example` of a record.

    Deterministic: equal records give equal bytes.
    """
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example()
    features = example.features.feature
    features[IMAGE_ENCODED].bytes_list.value.append(record.encoded)
    features[IMAGE_ID].bytes_list.value.append(record.image_id.encode())
    features[IMAGE_HEIGHT].int64_list.value.append(record.height)
    features[IMAGE_WIDTH].int64_list.value.append(record.width)
    labels = record.labels
    ints = {
        LABEL_ID: [label.index for label in labels],
        LABEL_RULE: [int(label.rule) for label in labels],
        LABEL_FROM: [label.derived_from for label in labels],
        LABEL_SOURCE: [int(label.source) for label in labels],
        ABSENT_ID: list(record.absent),
    }
    for name, values in ints.items():
        features[name].int64_list.value.extend(values)
    confidences = [label.confidence for label in labels]
    features[LABEL_CONFIDENCE].float_list.value.extend(confidences)
    return example.SerializeToString(deterministic=True)


def feature_spec() -> dict[str, Any]:
    """Returns the spec for `tf.io.parse_example`.

    Scalars: `image/*`. Ragged [labels]: `label/*`, `absent/id`.
    """
    import tensorflow as tf

    def ragged(dtype):
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)

    return {
        IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string),
        IMAGE_ID: tf.io.FixedLenFeature([], tf.string, ""),
        IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64, 0),
        IMAGE_WIDTH: tf.io.FixedLenFeature([], tf.int64, 0),
        LABEL_ID: ragged(tf.int64),
        LABEL_CONFIDENCE: ragged(tf.float32),
        LABEL_RULE: ragged(tf.int64),
        LABEL_FROM: ragged(tf.int64),
        LABEL_SOURCE: ragged(tf.int64),
        ABSENT_ID: ragged(tf.int64),
    }
