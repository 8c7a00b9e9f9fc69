"""Labels of a batch to dense targets, and what unlisted classes count as.

Targets are int8 [batch, classes]: 1 positive, 0 negative, -1 unknown. A class
that an image neither has as a label nor as verified absent is, as
`DataConfig.unknown` says,

    negative                negative, as in the paper's loss
    ignore                  unknown: the loss leaves it out
    ignore_unless_related   negative where a sibling of it is a label, else
                            unknown

The last is the "siblings policy" of hierarchical classification (Silla and
Freitas 2011, https://doi.org/10.1007/s10618-010-0175-9, section 3.2.1):
labels are closed under ancestors, so whoever annotated a dog told it from
the other carnivores, and an animal from a plant, but says nothing of
furniture or of breeds. The roots are siblings of each other.
"""

from __future__ import annotations

import os

import numpy as np
import tensorflow as tf

from beam_jobs import layout, records, storage
from beam_jobs.hierarchy import Hierarchy
from beam_jobs.vocabulary import Vocabulary
from model.config import DataConfig

UNKNOWN = -1


def siblings(hierarchy: Hierarchy) -> list[np.ndarray]:
    """Returns the classes that share a parent with each class, ascending.

    Args:
        hierarchy: a class may have several parents.

    Example:
        >>> tree = Hierarchy([(), (0,), (0,), (1,), ()])
        >>> [row.tolist() for row in siblings(tree)]
        [[4], [2], [1], [], [0]]
    """
    families = [*hierarchy.children, hierarchy.roots]
    found: list[set[int]] = [set() for _ in range(len(hierarchy))]
    for family in families:
        for child in family:
            found[child].update(family)
    return [
        np.array(sorted(members - {index}), np.int64)
        for index, members in enumerate(found)
    ]


def siblings_of_dataset(
    dataset: str | os.PathLike[str], config: DataConfig
) -> tf.RaggedTensor | None:
    """Returns the siblings of every class, if the policy needs them.

    Returns:
        int64 [classes, siblings], or None.

    Raises:
        InputError: the data set's hierarchy cannot be read.
    """
    if config.unknown != "ignore_unless_related":
        return None
    folder = os.fspath(dataset)
    vocabulary = Vocabulary.load(storage.join(folder, layout.VOCABULARY))
    path = storage.join(folder, layout.HIERARCHY)
    rows = siblings(Hierarchy.load(path, vocabulary))
    return tf.RaggedTensor.from_row_lengths(
        np.concatenate(rows), [len(row) for row in rows], validate=False
    )


def dense_targets(
    features: dict[str, tf.RaggedTensor],
    classes: int,
    config: DataConfig,
    siblings: tf.RaggedTensor | None = None,
) -> tf.Tensor:
    """Returns int8 [batch, classes] targets of parsed records.

    Args:
        features: ragged [batch, labels] `label/id`, `label/confidence` and
            `absent/id`.
        siblings: int64 [classes, siblings], for `ignore_unless_related`.
    """
    ids = features[records.LABEL_ID]
    sure = features[records.LABEL_CONFIDENCE].flat_values
    sure = sure >= config.min_confidence
    places = _places(ids)
    positive = tf.cast(sure, tf.int8)
    zeros = _zeros(ids.nrows(), classes)
    if config.unknown == "negative":
        # Maximum, so that a label given twice counts once.
        return tf.tensor_scatter_nd_max(zeros, places, positive)
    absent = _places(features[records.ABSENT_ID])
    negative = tf.ones(tf.shape(absent)[:1], tf.int8)
    found = zeros
    if siblings is not None:
        found = _related(zeros, places, sure, siblings)
    found = tf.tensor_scatter_nd_max(
        found,
        tf.concat([places, absent], axis=0),
        tf.concat([2 * positive, negative], axis=0),
    )
    return UNKNOWN + found


def _related(zeros, places, sure, siblings):
    """Returns int8 [batch, classes]: 1 where a sibling is a sure label.

    A label below the least confidence stays unknown whatever its siblings.
    """
    known = tf.boolean_mask(places, sure)
    beside = tf.gather(siblings, known[:, 1])
    rows = tf.repeat(known[:, 0], beside.row_lengths())
    beside = tf.stack([rows, beside.flat_values], axis=1)
    ones = tf.ones(tf.shape(beside)[:1], tf.int8)
    found = tf.tensor_scatter_nd_max(zeros, beside, ones)
    unsure = tf.boolean_mask(places, tf.logical_not(sure))
    nothing = tf.zeros(tf.shape(unsure)[:1], tf.int8)
    return tf.tensor_scatter_nd_min(found, unsure, nothing)


def _places(ids: tf.RaggedTensor) -> tf.Tensor:
    """Returns int64 [labels, 2]: row and class of every label."""
    rows = tf.cast(ids.value_rowids(), tf.int64)
    return tf.stack([rows, ids.flat_values], axis=1)


def _zeros(rows: tf.Tensor, classes: int) -> tf.Tensor:
    shape = tf.stack([tf.cast(rows, tf.int64), tf.cast(classes, tf.int64)])
    return tf.zeros(shape, tf.int8)
