"""Records one at a time, field by field: the reference for `encode_records`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from beam_jobs.dataset import records as names
from beam_jobs.labels.ledger import Rule, Source, ledger_codes


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

    The reference for `encode_records`, which writes many at once.
    """
    from tensorflow.core.example import example_pb2

    example = example_pb2.Example()
    features = example.features.feature
    features[names.IMAGE_ENCODED].bytes_list.value.append(record.encoded)
    features[names.IMAGE_ID].bytes_list.value.append(record.image_id.encode())
    labels, hidden = record.labels, record.hidden
    ints = {
        names.IMAGE_HEIGHT: [record.height],
        names.IMAGE_WIDTH: [record.width],
        names.LABEL_ID: [label.index for label in labels],
        names.LABEL_LEDGER: [
            ledger_codes(int(x.rule), int(x.source)) for x in labels
        ],
        names.LABEL_PARENT: [x.parent for x in labels if x.parent != x.index],
        names.ABSENT_ID: list(record.absent),
        names.ANNOTATION_ID: [index for index, _, _ in hidden],
        names.ANNOTATION_SOURCE: [int(source) for _, _, source in hidden],
    }
    floats = {
        names.LABEL_CONFIDENCE: [label.confidence for label in labels],
        names.ANNOTATION_CONFIDENCE: [
            confidence for _, confidence, _ in hidden
        ],
    }
    for name, values in ints.items():
        if values:
            features[name].int64_list.value.extend(values)
    for name, numbers in floats.items():
        if numbers:
            features[name].float_list.value.extend(numbers)
    return example.SerializeToString(deterministic=True)
