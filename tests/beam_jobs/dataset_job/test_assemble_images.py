import numpy as np
import pytest

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.dataset_job.assemble_images import has_positive
from beam_jobs.labels.label_rules import LabelRules
from beam_jobs.labels.ledger import BY_PARENT
from beam_jobs.labels.pairs import Pairs
from beam_jobs.labels.ragged_columns import Annotations

CLASSES, IMAGES = 40, 3000


def some_hierarchy(rng) -> Hierarchy:
    """A DAG: the parents of a class come before it."""
    return Hierarchy(
        [rng.integers(0, i, rng.integers(0, 3)) if i else () for i in range(40)]
    )


def some_pairs(rng) -> Pairs:
    source = np.arange(CLASSES, dtype=np.int32)
    added = ((source + rng.integers(1, CLASSES, CLASSES)) % CLASSES).astype(
        "i4"
    )
    ones = np.ones(CLASSES, np.int64)
    return Pairs(source, added.astype("i4"), np.ones(CLASSES), ones, ones)


def some_annotations(rng) -> Annotations:
    lengths = rng.integers(0, 4, IMAGES)
    count = int(lengths.sum())
    by_parent = rng.choice([0, BY_PARENT], count)
    # 0 rules out; the others lie at the bound, beside it, and far from it.
    bound = np.float32(0.7)
    steps = [np.nextafter(bound, np.float32(0)), bound, 0, 0.3, 0.69, 1]
    return Annotations(
        np.append(0, np.cumsum(lengths)),
        rng.integers(-1, CLASSES, count).astype(np.int32),
        rng.choice(np.array(steps, np.float32), count),
        (rng.integers(0, 8, count) + by_parent).astype(np.uint8),
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_positive_of_a_known_class_is_all_that_a_label_takes(seed):
    rng = np.random.default_rng(seed)
    label_rules = LabelRules(some_hierarchy(rng), some_pairs(rng))
    said = some_annotations(rng)
    labels = label_rules.label(said).labels
    labelled = np.diff(labels.row_splits) > 0
    assert 0.2 < labelled.mean() < 0.8
    found = has_positive(
        said.row_splits, said.ids, said.confidences, label_rules.min_confidence
    )
    assert found.tolist() == labelled.tolist()
