"""THE feature spec of the TFRecords: written, trained on, served, checked.

A record is a `tf.train.Example`. Labels are sparse and keep their ledger, as
parallel lists sorted by class index: what rule gave the label, to which class
the rule was applied, and who made the annotation behind it.

    image/encoded      JPEG bytes; absent from a data set of labels only
    image/id           `<kind of source>/<id>`
    image/height       pixels
    image/width        pixels
    label/id           class indices, ascending
    label/confidence   over 0 to 1
    label/ledger       8 x source + rule
    label/parent       the class that the rule was applied to; the label's own
                       if it was annotated
    absent/id          classes verified absent, descendants included
    annotation/*       annotations that a better claim hides in `label/*`;
                       with them every rule can be switched off without loss
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from beam_jobs.labels.ledger import Rule, Source, ledger_codes

IMAGE_ENCODED = "image/encoded"
IMAGE_ID = "image/id"
IMAGE_HEIGHT = "image/height"
IMAGE_WIDTH = "image/width"
LABEL_ID = "label/id"
LABEL_CONFIDENCE = "label/confidence"
LABEL_LEDGER = "label/ledger"
LABEL_PARENT = "label/parent"
ABSENT_ID = "absent/id"
ANNOTATION_ID = "annotation/id"
ANNOTATION_CONFIDENCE = "annotation/confidence"
ANNOTATION_SOURCE = "annotation/source"


@dataclass(frozen=True, slots=True)
class Label:
    """One positive label of an image.

    Attributes:
        index: class index.
        confidence: 0 < confidence <= 1.
        rule: why it is there.
        parent: class index that the rule was applied to; the label's own
            index if it was annotated.
        source: who made the annotation behind it.
    """

    index: int
    confidence: float
    rule: Rule
    parent: int
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
        hidden: annotations (class, confidence, source) that `labels` does not
            show.
    """

    image_id: str
    encoded: bytes
    height: int
    width: int
    labels: Sequence[Label] = field(default_factory=tuple)
    absent: Sequence[int] = field(default_factory=tuple)
    hidden: Sequence[tuple[int, float, Source]] = field(default_factory=tuple)


def to_example(record: Record) -> bytes:
    """Returns the serialized `tf.train.Example` of one record.

    The reference for `record_encoding`, which writes many at once. Empty
    lists are left out.
    """
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example()
    features = example.features.feature
    features[IMAGE_ENCODED].bytes_list.value.append(record.encoded)
    features[IMAGE_ID].bytes_list.value.append(record.image_id.encode())
    labels, hidden = record.labels, record.hidden
    ints = {
        IMAGE_HEIGHT: [record.height],
        IMAGE_WIDTH: [record.width],
        LABEL_ID: [label.index for label in labels],
        LABEL_LEDGER: [
            ledger_codes(int(x.rule), int(x.source)) for x in labels
        ],
        LABEL_PARENT: [label.parent for label in labels],
        ABSENT_ID: list(record.absent),
        ANNOTATION_ID: [index for index, _, _ in hidden],
        ANNOTATION_SOURCE: [int(source) for _, _, source in hidden],
    }
    floats = {
        LABEL_CONFIDENCE: [label.confidence for label in labels],
        ANNOTATION_CONFIDENCE: [confidence for _, confidence, _ in hidden],
    }
    for name, values in ints.items():
        if values:
            features[name].int64_list.value.extend(values)
    for name, numbers in floats.items():
        if numbers:
            features[name].float_list.value.extend(numbers)
    return example.SerializeToString(deterministic=True)


def feature_spec() -> dict[str, Any]:
    """Returns the spec for `tf.io.parse_example`.

    Scalars: `image/*`; `image/encoded` is empty in a data set of labels only.
    Ragged [values]: all others.
    """
    import tensorflow as tf

    def ragged(dtype):
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)

    return {
        IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string, ""),
        IMAGE_ID: tf.io.FixedLenFeature([], tf.string, ""),
        IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64, 0),
        IMAGE_WIDTH: tf.io.FixedLenFeature([], tf.int64, 0),
        LABEL_ID: ragged(tf.int64),
        LABEL_CONFIDENCE: ragged(tf.float32),
        LABEL_LEDGER: ragged(tf.int64),
        LABEL_PARENT: ragged(tf.int64),
        ABSENT_ID: ragged(tf.int64),
        ANNOTATION_ID: ragged(tf.int64),
        ANNOTATION_CONFIDENCE: ragged(tf.float32),
        ANNOTATION_SOURCE: ragged(tf.int64),
    }
