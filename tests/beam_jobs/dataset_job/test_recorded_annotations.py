import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.dataset.read_records import to_numpy
from beam_jobs.dataset.records import feature_spec
from beam_jobs.dataset_job import encode_records
from beam_jobs.dataset_job.recorded_annotations import (
    annotations_of,
    with_corrections,
    without,
)
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import BY_PARENT, Source
from beam_jobs.labels.ragged_columns import Annotations

HUMAN, MACHINE = Source.OPEN_IMAGES_HUMAN, Source.OPEN_IMAGES_MACHINE
TREE = Hierarchy([(), (0,), (1,), (0,), ()])
RULES = LabelRules(TREE)


def said(*rows) -> Annotations:
    """Columns of rows of (class, confidence, source)."""
    values = [value for row in rows for value in row]
    ids, confidences, sources = zip(*values, strict=True)
    return Annotations(
        np.cumsum([0, *map(len, rows)]),
        np.array(ids, np.int32),
        np.array(confidences, np.float32),
        np.array(sources, np.uint8),
    )


def rows_of(annotations):
    columns = (annotations.ids, annotations.confidences, annotations.sources)
    values = list(zip(*(c.tolist() for c in columns), strict=True))
    splits = annotations.row_splits.tolist()
    return [values[a:b] for a, b in zip(splits, splits[1:], strict=False)]


def encoded(annotations) -> list[bytes]:
    labels = encode_records.encode_labels(RULES.label(annotations), annotations)
    return list(encode_records.to_examples(labels).rows())


def recorded(annotations) -> Annotations:
    import tensorflow as tf

    spec = {k: v for k, v in feature_spec().items() if "image" not in k}
    parsed = tf.io.parse_example(encoded(annotations), spec)
    return annotations_of(to_numpy(parsed))


@pytest.mark.parametrize("seed", range(20))
def test_without_corrections_all_bytes_are_as_before(seed):
    rng = np.random.default_rng(seed)
    sources = [HUMAN, MACHINE, Source.CSV, Source.CSV + BY_PARENT]
    rows = [
        [
            (int(rng.integers(5)), float(rng.choice([0.0, 0.5, 0.8, 1.0])), s)
            for s in rng.choice(sources, rng.integers(1, 6))
        ]
        for _ in range(30)
    ]
    # What a record keeps of them.
    before = recorded(said(*rows))
    ids = [f"a/{i}" for i in range(30)]
    given = {
        f"a/{i}": {
            int(c): float(rng.integers(2)) for c in rng.integers(5, size=2)
        }
        for i in rng.integers(40, size=12)
    }
    corrected = with_corrections(before, ids, given)
    kept = recorded(corrected)
    after = without(kept, Source.CORRECTIONS)
    assert encoded(after) == encoded(before)
    # Written again with nothing changed, it is the same too.
    assert encoded(kept) == encoded(corrected)
    assert encoded(corrected) != encoded(before)


def test_a_later_correction_replaces_an_earlier_one():
    first = with_corrections(
        said([(2, 1, HUMAN)], [(3, 1, HUMAN)]),
        ["a", "b"],
        {"a": {2: 0.0, 4: 1}},
    )
    second = with_corrections(first, ["a", "b"], {"a": {2: 1.0}})
    assert rows_of(second) == [
        [(2, 1, HUMAN), (4, 1, Source.CORRECTIONS), (2, 1, Source.CORRECTIONS)],
        [(3, 1, HUMAN)],
    ]


def test_without_corrections_nothing_is_touched():
    columns = said([(2, 1, HUMAN)])
    assert with_corrections(columns, ["a"], {"b": {1: 0.0}}) is columns
