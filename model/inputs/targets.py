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

from beam_jobs.classes.hierarchy import Hierarchy
from beam_jobs.classes.load_classes import load_folder
from beam_jobs.dataset import records
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
    _, hierarchy = load_folder(dataset)
    rows = siblings(hierarchy)
    return tf.RaggedTensor.from_row_lengths(
        np.concatenate(rows), [len(row) for row in rows], validate=False
    )


def label_spec(config: DataConfig) -> dict:
    """Returns the spec of what `dense_targets` reads, for `parse_example`.

    Sparse: ragged labels need their rows numbered first, a third slower.
    """
    spec = {records.LABEL_ID: tf.io.VarLenFeature(tf.int64)}
    if config.unknown != "negative":
        spec[records.ABSENT_ID] = tf.io.VarLenFeature(tf.int64)
    if config.unknown != "negative" or config.min_confidence > 0:
        spec[records.LABEL_CONFIDENCE] = tf.io.VarLenFeature(tf.float32)
    return spec


def dense_targets(
    features: dict[str, tf.SparseTensor],
    classes: int,
    config: DataConfig,
    siblings: tf.RaggedTensor | None = None,
    dtype: tf.DType = tf.int8,
) -> tf.Tensor:
    """Returns [batch, classes] targets of parsed records.

    Args:
        features: sparse [batch, labels] of `label_spec`.
        siblings: int64 [classes, siblings], for `ignore_unless_related`.
    """
    ids = features[records.LABEL_ID]
    places = _places(ids)
    shape = tf.stack([ids.dense_shape[0], classes])
    if config.unknown == "negative":
        if config.min_confidence > 0:
            places = tf.boolean_mask(places, _sure(features, config))
        return _ones_at(places, shape, dtype)
    sure = _sure(features, config)
    absent = _places(features[records.ABSENT_ID])
    # Counted from unknown: 0 unknown, 1 negative, 2 positive, the most wins.
    found = zeros = tf.zeros(shape, dtype)
    if siblings is not None:
        found = _related(zeros, places, sure, siblings)
    found = tf.tensor_scatter_nd_max(
        found,
        tf.concat([places, absent], axis=0),
        tf.concat(
            [2 * tf.cast(sure, dtype), tf.ones(tf.shape(absent)[:1], dtype)],
            axis=0,
        ),
    )
    # 0, 1, 2 become -1, 0, 1.
    return UNKNOWN + found


def _sure(features, config: DataConfig) -> tf.Tensor:
    """Returns bool [labels]: those of enough confidence."""
    sure = features[records.LABEL_CONFIDENCE].values
    return sure >= config.min_confidence


def _ones_at(places, shape, dtype: tf.DType) -> tf.Tensor:
    """Writes each value once; scatters add to zeros or copy them first."""
    return tf.raw_ops.SparseToDense(
        sparse_indices=places,
        output_shape=shape,
        sparse_values=tf.ones([], dtype),
        default_value=tf.zeros([], dtype),
        # A label may be given twice; those out of range fail nonetheless.
        validate_indices=False,
    )


def _related(zeros, places, sure, siblings):
    """Returns [batch, classes]: 1 where a sibling is a sure label.

    A label below the least confidence stays unknown whatever its siblings.
    """
    known = tf.boolean_mask(places, sure)
    beside = tf.gather(siblings, known[:, 1])
    rows = tf.repeat(known[:, 0], beside.row_lengths())
    beside = tf.stack([rows, beside.flat_values], axis=1)
    ones = tf.ones(tf.shape(beside)[:1], zeros.dtype)
    found = tf.tensor_scatter_nd_max(zeros, beside, ones)
    unsure = tf.boolean_mask(places, tf.logical_not(sure))
    nothing = tf.zeros(tf.shape(unsure)[:1], zeros.dtype)
    return tf.tensor_scatter_nd_min(found, unsure, nothing)


def _places(ids: tf.SparseTensor) -> tf.Tensor:
    """Returns int64 [labels, 2]: row and class of every label."""
    return tf.stack([ids.indices[:, 0], ids.values], axis=1)
