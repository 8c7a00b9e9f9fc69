"""Image files -> pixels in the served graph; a bad one harms no other.

Decoding in TensorFlow raises on a bad image, and one raised error fails the
whole batch: in TensorFlow Serving with batching, every client in it. No check
of the header can rule that out, since a JPEG's body may be garbage too. So
every image is decoded in a `tf.data` pipeline inside the graph, which drops
the elements that raise (`Dataset.ignore_errors`), and the rows that are left
are put back in their places. The dropped ones get `valid = false`, empty
names and zero scores. These are ordinary TensorFlow ops: TensorFlow Serving
runs the same graph and gives the same answers, and the local server needs no
check of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from serving.api import contract
from serving.saved_model.image_headers import header_size

_PARALLEL_DECODES = 4


@dataclass(frozen=True)
class ImageLimits:
    """An image over either limit is not decoded; its row is not valid."""

    max_bytes: int = contract.MAX_IMAGE_BYTES
    max_pixels: int = contract.MAX_IMAGE_PIXELS


def decode_rows(
    encoded: tf.Tensor,
    decode: Callable[[tf.Tensor], Any],
    specs: Any,
) -> tuple[Any, tf.Tensor]:
    """Decodes every row that can be decoded; never raises.

    Args:
        encoded: string [N].
        decode: scalar string -> tensors of `specs`; may raise.
        specs: `tf.TensorSpec` of one decoded row, or a tuple of some.

    Returns:
        Tensors [N, ...] as `specs`, zero where decoding failed; and bool [N].
    """
    count = tf.size(encoded)

    def checked(row, data):
        return row, tf.nest.map_structure(
            lambda spec, value: tf.ensure_shape(value, spec.shape),
            specs,
            decode(data),
        )

    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), encoded))
    rows = rows.map(checked, num_parallel_calls=_PARALLEL_DECODES)
    # One row too many at the end: a batch with nothing left is no batch.
    zeros = tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), specs)
    spare = tf.data.Dataset.from_tensors((count, zeros))
    rows = rows.ignore_errors().concatenate(spare)
    rows = rows.batch(tf.cast(count, tf.int64) + 1)
    rows = rows.with_options(_plain_options())
    index, decoded = rows.get_single_element()
    index = index[:, tf.newaxis]

    def in_place(values):
        # The rows that are left know their places; the spare one is cut off.
        shape = values.shape[1:]
        rows = tf.scatter_nd(index, values, tf.stack([count + 1, *shape]))
        return tf.ensure_shape(rows[:-1], (None, *shape))

    valid = in_place(tf.ones_like(index[:, 0])) > 0
    return tf.nest.map_structure(in_place, decoded), valid


def _plain_options() -> tf.data.Options:
    # Rewriting and tuning the pipeline, on every request, costs more than
    # such a short one can win back.
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def check_limits(encoded: tf.Tensor, limits: ImageLimits) -> tf.Operation:
    """Raises unless an image within the limits, by its header."""
    height, width = header_size(encoded)
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    within = tf.logical_and(pixels > 0, pixels <= limits.max_pixels)
    short = tf.strings.length(encoded) <= limits.max_bytes
    return tf.debugging.Assert(tf.logical_and(within, short), ["limits"])
